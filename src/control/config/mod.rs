//! The configuration file: text to raw to checked.
//! Next: `checked`, what the program works with.

pub mod checked;
