internal import ArgumentParser
internal import ImageSimilarityKit

/// What to measure, and on which pictures.
struct EvaluationArguments: ParsableArguments {
  @Option(
    name: [.short, .customLong("k")],
    help: ArgumentHelp("The ranks at which precision, recall and NDCG are taken.", valueName: "k,k,..."),
    transform: { text in
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      let ranks = parts.compactMap { Int($0.filter { $0 != " " }) }
      guard ranks.count == parts.count, ranks.allSatisfy({ $0 > 0 }) else {
        throw ValidationError("--k takes ranks from 1 on, such as 1,5,10; found \(text)")
      }
      return Array(Set(ranks)).sorted()
    })
  var k: [Int] = EvaluationOptions().ranks

  @OptionGroup var filter: FilterOptions

  @Option(
    help: ArgumentHelp("Only these of the pictures are queries; a condition as for --where.", valueName: "condition"),
    transform: FilterOptions.parse)
  var queries: RecordPredicate?

  @Option(
    help: ArgumentHelp("Only these of the pictures are ranked; a condition as for --where.", valueName: "condition"),
    transform: FilterOptions.parse)
  var ranked: RecordPredicate?

  @Option(help: "How many times the queries are drawn for the confidence intervals; 0 for no intervals.")
  var resamples = EvaluationOptions().resamples

  @Option(help: "The seed of the random numbers that draw them.")
  var seed: UInt64 = EvaluationOptions().seed

  @Option(help: "The confidence of the intervals, between 0 and 1.")
  var confidence = EvaluationOptions().confidence

  var options: EvaluationOptions {
    EvaluationOptions(ranks: k, resamples: resamples, seed: seed, confidence: confidence)
  }

  var subset: EvaluatedSubset { EvaluatedSubset(filter.predicate, queries: queries, ranked: ranked) }

  func validate() throws {
    if !(0...1_000_000).contains(resamples) {
      throw ValidationError("--resamples is a number from 0 to 1000000; found \(resamples)")
    }
    if !(confidence > 0 && confidence < 1) {
      throw ValidationError("--confidence is a number between 0 and 1; found \(confidence)")
    }
  }
}
