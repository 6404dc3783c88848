//! The secret detector, through the doors that people use: how much it finds, what it lets alone, and that it keeps its mouth shut.
//!
//! All values are made here, from the formats that issuers publish and the habits of people; none is anybody's. They come from a fixed
//! seed, so a run is like the one before it.

mod evaluation;
mod harmless;
mod made;
mod placed;
mod properties;
