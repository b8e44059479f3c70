#pragma once
#include <cblas.h>
#include <stddef.h>

// LAPACK is in OpenBLAS's library, but not in its header: Fortran routines, column-major, everything by address; the
// lengths of the strings come last, by value.

/// Eigenvalues, ascending, and eigenvectors of a symmetric matrix, by divide and conquer.
void dsyevd_(const char *jobz, const char *uplo, const blasint *n, double *a, const blasint *lda, double *w, double *work,
             const blasint *lwork, blasint *iwork, const blasint *liwork, blasint *info, size_t jobz_length,
             size_t uplo_length);

/// The Cholesky factor of a symmetric positive definite matrix.
void dpotrf_(const char *uplo, const blasint *n, double *a, const blasint *lda, blasint *info, size_t uplo_length);
