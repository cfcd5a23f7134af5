"""gradtx under the spelling of other libraries."""
