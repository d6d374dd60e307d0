//! Tables for the request head.
