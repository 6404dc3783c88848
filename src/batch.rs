//! Lists of jobs by group: read from a file, planned as Jobs, followed until they have ended.
//!
//! Pure: the time, the nodes and what was seen of the cluster come in as arguments. Who reads the file, prints, and talks to
//! an API server stands in cli/batch.rs and cluster/batch.rs.

mod file;
mod jobs;
mod progress;
mod report;
mod seen;

pub use file::{Batch, Group, Job, read, same_names, too_large, wrong_source};
pub use jobs::{Key, Options, Planned, RUN_LABEL, plan};
pub use progress::{Counts, Line, Progress, Summary};
pub use report::{bar, commands, duration};
pub use seen::{Cause, Ended, JobSeen, Phase, PodSeen, Reason, WarningSeen, refusal};
