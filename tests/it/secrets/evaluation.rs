//! A small evaluation on data of our own making, for every run of CI: recall by sort and place, and what is refused wrongly.
//!
//! docs/secrets.md has the large one, on labelled data that is not in this repository. This one is to notice when a change makes the
//! detector blind or quarrelsome: the floors stand beside what was measured when they were set. Raise them when it gets better.

use std::collections::BTreeMap;

use supercargo::finding::Action;

use super::harmless;
use super::made::{FORMATS, Rng, chosen, generic, jwt, pem};
use super::placed::{self, Place};
use crate::support::*;

/// Each format is made so many times in each place, each generic secret's name so many times, each harmless thing so many times.
const ROUNDS: usize = 2;

/// The least share of known formats that is refused, in every single place. Measured: 1.
const KNOWN: f64 = 0.98;
/// The least share of generic secrets, in env, arguments and values of ConfigMaps. Measured: 0.992.
const GENERIC_VALUES: f64 = 0.96;
/// The same in files inside of ConfigMaps. Measured: 0.969.
const GENERIC_TEXT: f64 = 0.94;
/// The least share of refusals that are right; half of the objects are harmless. Measured: 1.
const PRECISION: f64 = 0.999;

/// Names of generic secrets.
const NAMES: [&str; 16] = [
    "db password",
    "admin password",
    "smtp pass",
    "redis password",
    "mysql root password",
    "keystore passphrase",
    "api token",
    "access token",
    "client secret",
    "session secret",
    "webhook secret",
    "api key",
    "private key",
    "encryption key",
    "aws secret access key",
    "signing secret",
];

struct Tally {
    hit: usize,
    all: usize,
    missed: Vec<String>,
}

impl Tally {
    fn share(&self) -> f64 {
        f64::from(u32::try_from(self.hit).unwrap()) / f64::from(u32::try_from(self.all.max(1)).unwrap())
    }
}

/// Judges objects one by one, as `supercargo check` does.
struct Evaluation {
    world: World,
    rng: Rng,
    tallies: BTreeMap<String, Tally>,
}

impl Evaluation {
    fn new() -> Evaluation {
        let guard = "{kind: GuardPolicy, spec: {rules: {embedded-secret: {}, weak-credential: {}}}}";
        Evaluation { world: World::new(&[guard]).in_namespace("shop"), rng: Rng(4), tallies: BTreeMap::new() }
    }

    fn judge(&mut self, group: &str, what: &str, place: Place, words: &str, value: &str) {
        let answer = self.world.check(&placed::object(place, words, value));
        let refused = answer.outcome.verdicts.iter().any(|verdict| verdict.action == Action::Deny);
        let tally = self.tallies.entry(group.to_owned()).or_insert(Tally { hit: 0, all: 0, missed: Vec::new() });
        tally.all += 1;
        tally.hit += usize::from(refused);
        if refused == (group == "harmless") {
            // What it was and where; the value is made up, and still nothing to print.
            tally.missed.push(format!("{what} at {place:?} under {words:?}"));
        }
    }

    fn known(&mut self) {
        for place in placed::ALL {
            for _ in 0..ROUNDS {
                for format in FORMATS {
                    let value = format.make(&mut self.rng);
                    self.judge(&format!("known {place:?}"), format.name, place, "setting", &value);
                }
                let value = jwt(&mut self.rng);
                self.judge(&format!("known {place:?}"), "jwt", place, "setting", &value);
                let value = format!(
                    "postgres://app:{}@db.shop.svc:5432/shop",
                    chosen(&mut self.rng).replace(['#', '?', '%'], "_")
                );
                self.judge(&format!("known {place:?}"), "url", place, "database", &value);
                // A key of several lines does not fit everywhere.
                if matches!(
                    place,
                    Place::Env | Place::EnvOfCronJob | Place::ConfigMapValue | Place::Shell | Place::Annotation
                ) {
                    let value = pem(&mut self.rng);
                    self.judge(&format!("known {place:?}"), "private key", place, "setting", &value);
                }
            }
        }
    }

    fn generic(&mut self) {
        for place in placed::NAMED {
            let group = match place {
                Place::Properties | Place::DotEnv | Place::Yaml | Place::Json => "generic text",
                _ => "generic values",
            };
            for words in NAMES {
                for _ in 0..ROUNDS * 2 {
                    // A person chooses passwords, a machine makes the rest.
                    let made = generic(&mut self.rng);
                    let value =
                        if words.contains("pass") && self.rng.below(3) == 0 { chosen(&mut self.rng) } else { made };
                    let what = format!("{} letters", value.len());
                    self.judge(group, &what, place, words, &value);
                }
            }
        }
    }

    fn harmless(&mut self) {
        for place in placed::ALL {
            for _ in 0..ROUNDS {
                for harmless in harmless::all(&mut self.rng) {
                    self.judge("harmless", harmless.why, place, harmless.words, &harmless.value);
                }
            }
        }
    }
}

#[test]
fn recall_and_precision_stay_above_their_floors() {
    let mut evaluation = Evaluation::new();
    evaluation.known();
    evaluation.generic();
    evaluation.harmless();
    let wrong = evaluation.tallies["harmless"].hit;
    let right: usize = evaluation.tallies.iter().filter(|(group, _)| *group != "harmless").map(|(_, t)| t.hit).sum();
    let precision = Tally { hit: right, all: right + wrong, missed: Vec::new() }.share();
    let mut failed = Vec::new();
    for (group, tally) in &evaluation.tallies {
        let floor = match group.as_str() {
            "harmless" => 0.0,
            "generic values" => GENERIC_VALUES,
            "generic text" => GENERIC_TEXT,
            _ => KNOWN,
        };
        println!("{group:24} {:5} of {:5} refused, {:.4}", tally.hit, tally.all, tally.share());
        if tally.share() < floor {
            failed.push(format!("{group}: {:.4} is below {floor}: {:#?}", tally.share(), tally.missed));
        }
    }
    println!("precision {precision:.5}");
    if precision < PRECISION {
        failed.push(format!(
            "precision {precision:.4} is below {PRECISION}: {:#?}",
            evaluation.tallies["harmless"].missed
        ));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
