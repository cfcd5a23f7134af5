"""Matrix functions: orthogonal factors, inverse roots, largest eigenvalues."""
