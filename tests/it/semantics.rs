//! DESIGN §4, line by line: the doc comment of a test quotes the line that it holds.

mod patches;
mod placement;
mod profiles;
mod ratchet;
