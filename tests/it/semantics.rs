//! What the engine promises, sentence by sentence: the comment of a test quotes the sentence that it holds.

mod answers;
mod decisions;
mod exemptions;
mod limits;
mod owners;
mod patches;
mod placement;
mod policies;
mod policies_strict;
mod probes;
mod profiles;
mod ratchet;
mod resources;
mod secrets;
mod volumes;
