// Walks over a graph of near neighbours (HNSW) whose nodes have codes of a signed byte an element: x[i] is about
// scale * code[i].
//
// Everything here gives the same results on every instruction set: sums of products are exact integers, and what follows is
// computed in one order, without fused operations.

#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

typedef struct {
  float scale;
  // Of the codes.
  int32_t sum;
  // Of what the code stands for; 0 where the metric does not need it.
  float squared_norm;
  int32_t unused;
} imsim_node_header;

// The graph as a walk sees it.
typedef struct {
  // A record a node, `stride` bytes apart: an imsim_node_header and `code_bytes` codes, those beyond the dimension 0.
  const uint8_t *records;
  size_t stride;
  // A multiple of 64.
  size_t code_bytes;
  // Whether distances are squared Euclidean ones; negative inner products otherwise.
  int is_euclidean;
  // Level 0: `2 * m` links a node. Levels above: `m` links a level, from upper[upper_starts[node] + (level - 1) * m] on. Unused
  // links, which come last, are -1.
  size_t m;
  const int32_t *links;
  const int32_t *upper;
  const int32_t *upper_starts;
} imsim_graph;

// A node as seen from a query, ordered as the distance is, and among equals by the node: the distance's bits, made to sort as
// an unsigned number, and the node in the lower 32.
typedef uint64_t imsim_near;

// Memory of one walk.
typedef struct {
  // A bit a node there is room for, all 0 between walks.
  uint64_t *visited;
  // For all nodes there is room for.
  uint32_t *visited_nodes;
  // For 2 * m nodes.
  uint32_t *fresh;
  // For `ef + 1` entries, a walk's.
  imsim_near *beam;
} imsim_walk;

// Writes a node's record. `values` are what is to be encoded.
void imsim_graph_encode(const float *values, size_t dimension, int is_euclidean, size_t code_bytes, uint8_t *record);

typedef struct {
  // Descends from `entry` on the levels `from` down to `to + 1`, to the nearest node of each, and collects on level `to` up to
  // `ef` near nodes, ascending, into walk->beam. Returns how many there are. `query` is a record.
  size_t (*search)(
      const imsim_graph *graph, const uint8_t *query, uint8_t *query_codes, uint32_t entry, int from, int to, size_t ef,
      imsim_walk *walk);
  // The distances of a query, a record, to nodes.
  void (*distances)(
      const imsim_graph *graph, const uint8_t *query, uint8_t *query_codes, const uint32_t *nodes, size_t count,
      imsim_near *near);
  // Of candidates, ascending, those that are nearer to the query than to any that was chosen before (Malkov and Yashunin 2018,
  // algorithm 4), at most `most`. Chosen ones are written to `chosen`; returns how many.
  size_t (*select)(
      const imsim_graph *graph, uint8_t *query_codes, const imsim_near *candidates, size_t count, size_t most,
      uint32_t *chosen);
} imsim_graph_kernels;

// `query_codes` has room for graph->code_bytes everywhere.

// The variants of a level of instruction_set.h; NULL where this processor lacks it.
const imsim_graph_kernels *_Nullable imsim_graph_kernels_for(int level);
// Those of imsim_level_current().
const imsim_graph_kernels *imsim_graph_kernels_current(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
