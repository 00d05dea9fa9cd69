//! Keyed hashes of what somebody has to show.
