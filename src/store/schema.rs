//! The tables of the embedded store, version by version.
