//! Finds secrets in Kubernetes objects.
//!
//! Text scanners look at lines; this detector knows where in an object a name and its value stand. The rooms:
//!
//! - `surfaces` walks the tree and says what is a name and what is a value; `site` is a place in it;
//! - `scanner` puts the layers on each string: `leads` (one pass that finds what to look closer at, walked by `lanes`), then A `tokens`, B `urls`,
//!   C `structured` and `hashes`, D `encoded`, E `assignment` and `classify`, with `shell` for commands; `meter` bounds the work;
//! - `placeholder`, `weak` and `random` say what a value is instead of a secret; `fix` says how to mend.
//!
//! Pure: no I/O, no clock. A value leaves this module only inside [`Value`], which prints nothing.

use std::borrow::Cow;
use std::fmt;

use crate::tree::Node;
use crate::workload::Workload;

mod assignment;
mod binary;
mod classify;
mod comment;
mod encoded;
mod expression;
mod fix;
mod hashes;
mod lanes;
mod leads;
mod meter;
mod placeholder;
mod random;
mod scanner;
mod shell;
mod site;
mod structured;
mod surfaces;
mod tokens;
mod urls;
mod weak;

#[cfg(test)]
mod tests;

pub use surfaces::LAST_APPLIED;
pub use tokens::{Entry, entries};

/// How much one object may cost. Plain text costs one a byte, and the API server lets no more than 3 Mi through; leads cost what
/// following them reads. A unit has been measured at 2 ns on hostile texts of nearly every kind, at most at 3.3 on a busy machine
/// (`secret_corpus --adversarial`), so this is 10 to 15 ms at most. Texts of the clean corpus cost between 1 and 3 a byte.
pub const BUDGET: usize = 6 << 20;

/// What a rule can set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether hashes of passwords (bcrypt, crypt, `{SHA}`) are reported.
    pub password_hashes: bool,
    /// Whether a token whose own checksum is wrong, and that no name gives away, is only warned of. Test tokens and redacted logs
    /// look like this; so does a token with a typing error, which is why it is off.
    pub trust_checksums: bool,
    /// How many bytes may be visited, see [`BUDGET`].
    pub budget: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { password_hashes: false, trust_checksums: false, budget: BUDGET }
    }
}

/// Where in an object a secret was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Surface {
    /// A variable of a container.
    Env,
    /// An item of `command` or `args`.
    Argument,
    /// A probe's header, path or command.
    Probe,
    /// A lifecycle hook.
    Lifecycle,
    /// `data` or `binaryData` of a ConfigMap.
    ConfigMapData,
    /// An annotation.
    Annotation,
    /// A label.
    Label,
    /// An image reference.
    Image,
    /// A volume's options.
    Volume,
    /// Any other field.
    Other,
}

/// Whether a finding is a secret beyond doubt, or one that everybody can guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// For rule `embedded-secret`.
    Certain,
    /// A default, a sample, a dictionary word: for rule `weak-credential`.
    Weak,
}

/// What kind of secret it is: "GitHub personal access token", "password".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Who issued it, "" when nobody in particular did.
    pub issuer: &'static str,
    /// What it is.
    pub what: &'static str,
}

impl Kind {
    /// Whether it is the hash of a password, see [`Options::password_hashes`].
    pub fn is_password_hash(self) -> bool {
        self == hashes::KIND
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blank = if self.issuer.is_empty() { "" } else { " " };
        write!(f, "{}{blank}{}", self.issuer, self.what)
    }
}

/// A secret's value, for digesting only: it can be neither displayed nor debugged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'d>(&'d str);

impl Value<'_> {
    /// The value itself. Hash it; never print, log or store it.
    pub fn for_digest(&self) -> &str {
        self.0
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

/// One secret at one place. What takes an allocation is made when it is asked for: an object may hold ten thousand of them.
#[derive(Clone, Debug)]
pub struct Detection<'d> {
    /// The container around it.
    pub container: Option<&'d str>,
    /// Where it was found.
    pub surface: Surface,
    /// The secret.
    pub value: Value<'d>,
    /// What it is.
    pub kind: Kind,
    /// The public prefix of its format, "ghp_".
    pub known_prefix: Option<&'static str>,
    /// Whether it is refused or only warned of.
    pub certainty: Certainty,
    /// Its issuer's checksum is wrong, and no name gives it away.
    pub doubtful: bool,
    site: &'d site::Site<'d>,
    /// The name beside it, in a text.
    inner: Option<&'d str>,
    /// In a text of several lines.
    line: Option<usize>,
    /// The object's name.
    object: &'d str,
}

impl Detection<'_> {
    /// RFC 6901, into the object that was scanned.
    pub fn pointer(&self) -> String {
        self.site.path.pointer()
    }

    /// Env name, flag, data key, annotation, label, field; "key/inner" for a name inside a value or a file.
    pub fn key(&self) -> Option<Cow<'_, str>> {
        match (self.site.key, self.inner) {
            (Some(key), Some(inner)) if key != inner => Some(Cow::Owned(format!("{key}/{inner}"))),
            (None, Some(inner)) => Some(Cow::Borrowed(inner)),
            (key, _) => key.map(Cow::Borrowed),
        }
    }

    /// Where it stands as a person says it: "env `DB_PASSWORD`", "line 12 of key `app.properties`".
    pub fn place(&self) -> String {
        self.site.say(self.line, self.inner)
    }

    /// How to mend it there.
    pub fn fix(&self) -> String {
        fix::of(self.kind, self.certainty, self.site, self.inner, self.object)
    }
}

/// What a scan says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Whether everything was read; if not, `too-large-to-judge` is to be reported.
    pub complete: bool,
    /// The work done, in bytes visited.
    pub visited: usize,
}

/// What a layer says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Secret {
    kind: Kind,
    prefix: Option<&'static str>,
    certainty: Certainty,
    /// Its own checksum speaks against it.
    doubtful: bool,
}

/// Reports every secret of a workload, in the order of the document.
pub fn scan(workload: &Workload<'_>, options: &Options, found: &mut dyn FnMut(Detection<'_>)) -> Scanned {
    scan_any(workload.object, options, found)
}

/// Reports every secret of an object of any kind. `v1/Secret` and kinds that hold ciphertext or schemas are not read.
pub fn scan_any(object: &Node<'_>, options: &Options, found: &mut dyn FnMut(Detection<'_>)) -> Scanned {
    let name = object.path(&["metadata", "name"]).or_else(|| object.path(&["metadata", "generateName"]));
    let mut scanner = scanner::Scanner::new(options, name.and_then(Node::as_str).unwrap_or_default(), found);
    surfaces::walk(object, &mut scanner);
    scanner.finish()
}
