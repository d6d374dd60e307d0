//! The laws that hold for any input.
//! Next: one module for each layer that has laws to keep.

#[cfg(test)]
mod http;
