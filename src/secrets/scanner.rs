//! Puts the layers on a string, in their order, and reports what they find.
//!
//! Owns the order of the layers, the budget and the reporting. Knows nothing of where strings stand in an object (`surfaces`), nor
//! how a layer decides.

use std::ops::Range;
use std::ptr;

use super::classify::{self, Manner};
use super::leads::{self, Lead};
use super::meter::Meter;
use super::site::Site;
use super::{
    Certainty, Detection, Kind, Options, Scanned, Secret, Surface, Value, assignment, encoded, expression, placeholder,
    shell, structured, tokens, urls,
};

/// What a lead costs beside the pass that found it, in bytes of plain scanning.
const LEAD: usize = 8;
/// What reading a name and its value costs, in the same measure.
const NAME: usize = 112;
/// What weighing a value costs, found out or not.
const VALUE: usize = 512;
/// What taking a command apart costs.
const COMMAND: usize = 512;
/// What a detection costs beside: checks that only a secret goes through to their end, and what whoever is told of it remembers.
const REPORT: usize = 768;

/// Strings shorter than the shortest URL with a password hold nothing that layers A to C know.
pub(super) const SHORTEST: usize = 8;

/// Goes over the strings of one object.
pub(super) struct Scanner<'f> {
    options: &'f Options,
    object: &'f str,
    meter: Meter,
    found: &'f mut dyn FnMut(Detection<'_>),
}

/// A text being scanned, and how far it has been spoken for.
struct Reading<'t> {
    site: &'t Site<'t>,
    text: &'t str,
    /// Where the last report ended: leads before it belong to it.
    taken: usize,
    /// Where the last name ended, so that none is read twice.
    named: usize,
    /// The line that `at` lies on, counting from 1.
    line: (usize, usize),
    /// Whether there is more than one line; looked up when the first secret is found.
    several: Option<bool>,
    found: bool,
}

impl<'f> Scanner<'f> {
    pub(super) fn new(options: &'f Options, object: &'f str, found: &'f mut dyn FnMut(Detection<'_>)) -> Self {
        Scanner { options, object, meter: Meter::new(options.budget), found }
    }

    pub(super) fn finish(self) -> Scanned {
        Scanned { complete: !self.meter.ran_out(), visited: self.meter.spent() }
    }

    /// Whether there is still something to spend.
    pub(super) fn exhausted(&self) -> bool {
        self.meter.ran_out()
    }

    /// A name and its value, judged by all layers; `quiet`, when it is that value, is known to have no lead. Whether something was found.
    pub(super) fn pair(
        &mut self,
        site: &Site<'_>,
        key: &str,
        value: &str,
        manner: Manner,
        quiet: Option<&str>,
    ) -> bool {
        if value.is_empty() || self.meter.ran_out() || is_for_browsers(key, value) {
            return false;
        }
        if self.scan(site, value, true, quiet) || self.decoded(site, value) {
            return true;
        }
        self.meter.spend(key.len());
        if let Some(secret) = structured::discord(value).or_else(|| structured::mailgun(value)) {
            self.report(site, None, None, value, secret);
            return true;
        }
        if value.len() > 4096 || !leads::names_a_secret(key) {
            return false;
        }
        let value = literal(value);
        if !self.meter.spend(NAME + weighing(value.len())) {
            return false;
        }
        let Some(secret) = named(key, value, manner) else { return false };
        self.report(site, None, None, value, secret);
        true
    }

    /// A text of any kind: layers A to C, and every assignment in it.
    pub(super) fn text(&mut self, site: &Site<'_>, text: &str) -> bool {
        self.scan(site, text, true, None)
    }

    /// A string that has no assignments in it: layers A to C only.
    pub(super) fn literal(&mut self, site: &Site<'_>, text: &str) -> bool {
        self.scan(site, text, false, None)
    }

    /// A password at a place that says so by itself: `mysql -pX`, a line of `.pgpass`.
    pub(super) fn password(&mut self, site: &Site<'_>, inner: Option<&str>, value: &str, line: Option<usize>) -> bool {
        let value = literal(value);
        let Some(secret) = classify::pair("password", value, Manner::Line) else { return false };
        self.report(site, inner, line, value, secret);
        true
    }

    fn scan(&mut self, site: &Site<'_>, text: &str, assignments: bool, quiet: Option<&str>) -> bool {
        if text.len() < SHORTEST || !self.meter.spend(text.len()) {
            return false;
        }
        // The very text, not one that reads the same: nobody has to wonder whose it was.
        let is_quiet = quiet.is_some_and(|quiet| ptr::eq(quiet, text));
        let found = !is_quiet && leads::find(text).is_some_and(|leads| self.follow_all(site, text, assignments, leads));
        found | (self.options.password_hashes && self.hashes(site, text))
    }

    fn follow_all(
        &mut self,
        site: &Site<'_>,
        text: &str,
        assignments: bool,
        leads: impl Iterator<Item = (Lead, Range<usize>)>,
    ) -> bool {
        let mut on = Reading { site, text, taken: 0, named: 0, line: (0, 1), several: None, found: false };
        for (lead, hit) in leads {
            if hit.start < on.taken {
                continue;
            }
            // The table's entry has to be looked at, and may be one of several with the same keyword.
            let entry = if matches!(lead, Lead::Token(_)) { LEAD } else { 0 };
            if !self.meter.spend(LEAD + entry) {
                break;
            }
            match lead {
                Lead::Word if assignments => self.assignment(&mut on, &hit),
                Lead::Word => {}
                Lead::Command if assignments => self.command(&mut on, &hit),
                Lead::Command => {}
                lead => {
                    if let Some((range, secret)) = follow(text, lead, &hit, &mut self.meter)
                        && range.start >= on.taken
                    {
                        self.report_in(&mut on, None, range, secret);
                    }
                }
            }
        }
        on.found
    }

    /// The password hashes in a text.
    fn hashes(&mut self, site: &Site<'_>, text: &str) -> bool {
        let mut on = Reading { site, text, taken: 0, named: 0, line: (0, 1), several: None, found: false };
        if self.meter.spend(text.len()) {
            for range in super::hashes::of(text) {
                if !self.meter.spend(LEAD) {
                    break;
                }
                self.report_in(&mut on, None, range, super::hashes::SECRET);
            }
        }
        on.found
    }

    /// Layer E on the name around `hit` and the value that it is given.
    fn assignment(&mut self, on: &mut Reading<'_>, hit: &Range<usize>) {
        if hit.start < on.named {
            return;
        }
        if !self.meter.spend(NAME) {
            return;
        }
        let name = match assignment::name(on.text.as_bytes(), hit) {
            Ok(name) => name,
            Err(end) => return on.named = end,
        };
        on.named = name.end;
        let text = &on.text[name.clone()];
        let named = classify::head(text).is_some() || classify::is_public(text);
        if !named || is_in_a_reference(on.text, name.start) {
            return;
        }
        let Some(found) = assignment::at(on.text, name, &mut self.meter) else { return };
        if !self.meter.spend(weighing(found.value.len())) {
            return;
        }
        let content = on.text;
        let (Some(key), Some(value)) = (content.get(found.key.clone()), content.get(found.value.clone())) else {
            return;
        };
        if is_for_browsers(key, value) {
            return on.taken = found.value.end;
        }
        // What stands around a PEM block says more than its name: left to its own lead.
        if value.contains("-----BEGIN ") {
            return;
        }
        // `--key=value` alone in its item is a field like env's.
        let whole = on.site.surface == Surface::Argument
            && on.text.as_bytes()[0] == b'-'
            && found.key.start == 0
            && found.value.end == on.text.len();
        let manner = if whole { Manner::Field } else { found.manner };
        let Some((range, secret)) = self.weigh(key, value, manner) else { return };
        let range = found.value.start + range.start..found.value.start + range.end;
        self.report_in(on, Some(key), range, secret);
        on.taken = on.taken.max(found.value.end);
    }

    /// What all layers say of a value in a text, and where in it.
    fn weigh(&mut self, key: &str, value: &str, manner: Manner) -> Option<(Range<usize>, Secret)> {
        if let Some(found) = first(value, &mut self.meter) {
            return Some(found);
        }
        // What an expression falls back to is a string of its own.
        let literal = expression::literal(value);
        let manner = if literal.is_some() { Manner::Quoted } else { manner };
        let range = literal.unwrap_or(0..value.len());
        let secret = self.below(value).or_else(|| named(key, &value[range.clone()], manner))?;
        Some((range, secret))
    }

    /// The password of a command whose name stands at `hit`.
    fn command(&mut self, on: &mut Reading<'_>, hit: &Range<usize>) {
        if !self.meter.spend(COMMAND) {
            return;
        }
        let name = on.text[hit.clone()].to_ascii_lowercase();
        if name == "chpasswd" {
            if let Some(range) = shell::piped_to_chpasswd(on.text, hit) {
                self.password_in(on, "chpasswd", range);
            }
            return;
        }
        if name == "identified by" {
            if let Some(range) = shell::identified_by(on.text, hit) {
                self.password_in(on, "identified by", range);
            }
            return;
        }
        let words = shell::command_at(on.text, hit);
        if !self.meter.spend(words.last().map_or(0, |last| last.end - words[0].start)) {
            return;
        }
        let texts: Vec<&str> = words.iter().filter_map(|word| on.text.get(word.clone())).collect();
        if texts.len() != words.len() {
            return;
        }
        if let Some((word, range)) = shell::password(&texts) {
            let start = words[word].start;
            self.password_in(on, name.trim(), start + range.start..start + range.end);
        } else if let Some(range) = shell::from_stdin(on.text, &words) {
            self.password_in(on, name.trim(), range);
        }
    }

    fn password_in(&mut self, on: &mut Reading<'_>, inner: &str, range: Range<usize>) {
        if range.start < on.taken {
            return;
        }
        if !self.meter.spend(weighing(range.len())) {
            return;
        }
        let Some(value) = on.text.get(range.clone()) else { return };
        if let Some((_, secret)) = first(value, &mut self.meter) {
            return self.report_in(on, Some(inner), range, secret);
        }
        let fallback = expression::literal(value).unwrap_or(0..value.len());
        if let Some(secret) = classify::pair("password", &value[fallback.clone()], Manner::Line) {
            self.report_in(on, Some(inner), range.start + fallback.start..range.start + fallback.end, secret);
        }
    }

    /// Layer D on a whole value.
    fn decoded(&mut self, site: &Site<'_>, value: &str) -> bool {
        let Some(secret) = self.below(value) else { return false };
        self.report(site, None, None, value, secret);
        true
    }

    fn below(&mut self, value: &str) -> Option<Secret> {
        let text = encoded::text(value)?;
        if !self.meter.spend(text.len()) {
            return None;
        }
        first(&text, &mut self.meter).map(|(_, secret)| secret).or_else(|| structured::registry_auth(&text))
    }

    fn report_in(&mut self, on: &mut Reading<'_>, inner: Option<&str>, range: Range<usize>, secret: Secret) {
        let (counted, line) = on.line;
        let bytes = on.text.as_bytes();
        let line = line + memchr::memchr_iter(b'\n', bytes.get(counted..range.start).unwrap_or_default()).count();
        on.line = (range.start.max(counted), line);
        let has_lines = || memchr::memchr(b'\n', bytes).is_some_and(|at| at + 1 < bytes.len());
        let several = line > 1 || *on.several.get_or_insert_with(has_lines);
        let Some(value) = on.text.get(range.clone()) else { return };
        self.report(on.site, inner, several.then_some(line), value, secret);
        on.taken = range.end;
        on.found = true;
    }

    fn report(&mut self, site: &Site<'_>, inner: Option<&str>, line: Option<usize>, value: &str, secret: Secret) {
        self.meter.charge(REPORT);
        // A wrong checksum is a reason to doubt a bare token, not one that its name gives away.
        let bare = || inner.is_none() && site.key.is_none_or(|key| classify::head(key).is_none());
        let doubtful = secret.doubtful && bare();
        let certainty = if self.options.trust_checksums && doubtful { Certainty::Weak } else { secret.certainty };
        (self.found)(Detection {
            container: site.container,
            surface: site.surface,
            value: Value(value),
            kind: secret.kind,
            known_prefix: secret.prefix,
            certainty,
            doubtful,
            site,
            inner,
            line,
            object: self.object,
        });
    }
}

/// Layers A to C at one lead.
fn follow(text: &str, lead: Lead, hit: &Range<usize>, meter: &mut Meter) -> Option<(Range<usize>, Secret)> {
    match lead {
        Lead::Token(index) => {
            let found = tokens::at(text.as_bytes(), hit, index, meter)?;
            let kind = Kind { issuer: found.entry.issuer, what: found.entry.what };
            let prefix = found.entry.prefix();
            let certainty = if found.void { Certainty::Weak } else { Certainty::Certain };
            Some((found.range, Secret { kind, prefix, certainty, doubtful: found.doubtful }))
        }
        Lead::Url => meter.spend(64).then(|| urls::at(text, hit)).flatten(),
        Lead::Dsn => meter.spend(128).then(|| urls::dsn(text, hit)).flatten(),
        Lead::Pem => meter.spend(512).then(|| structured::pem(text, hit)).flatten(),
        Lead::Pem64 => meter.spend(2048).then(|| structured::pem_in_base64(text, hit)).flatten(),
        Lead::Jwt => structured::jwt(text, hit, meter).or_else(|| structured::json_in_base64(text, hit, meter)),
        Lead::Jwk => meter.spend(2048).then(|| structured::jwk(text, hit)).flatten(),
        Lead::Scheme => meter.spend(112).then(|| structured::http_credentials(text, hit)).flatten(),
        Lead::Word | Lead::Command => None,
    }
}

/// What it costs to weigh a value of so many bytes: the shortest are told at once.
fn weighing(bytes: usize) -> usize {
    4 * bytes + if bytes < 4 { 96 } else { VALUE }
}

/// Whether a key of Google's, whose form is the same for servers and for pages, is meant for pages by its name.
fn is_for_browsers(name: &str, value: &str) -> bool {
    value.len() < 64
        && value.starts_with(['A', '"', '\''])
        && value.trim_start_matches(['"', '\'']).starts_with("AIza")
        && classify::is_public(name)
}

/// What a value falls back to, or the value itself.
fn literal(value: &str) -> &str {
    expression::literal(value).map_or(value, |range| &value[range])
}

/// Whether the name at `at` is a part of a store's address: `arn:aws:secretsmanager:...:secret:db-x7`.
fn is_in_a_reference(text: &str, at: usize) -> bool {
    const LOOK: usize = 160;
    let bytes = text.as_bytes();
    if !at.checked_sub(1).is_some_and(|before| b":/#".contains(&bytes[before])) {
        return false;
    }
    let from = at.saturating_sub(LOOK);
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'=,;".contains(byte);
    let start = bytes[from..at].iter().rposition(ends).map_or(from, |before| from + before + 1);
    text.get(start..at).is_some_and(placeholder::is_store)
}

/// Layer E. A value with the prefix of a known issuer that is not of its format is only warned of: the issuer would not know it.
fn named(key: &str, value: &str, manner: Manner) -> Option<Secret> {
    let secret = classify::pair(key, value, manner)?;
    let certainty = if tokens::is_misshapen(key, value) || structured::is_misshapen(value) {
        Certainty::Weak
    } else {
        secret.certainty
    };
    Some(Secret { certainty, ..secret })
}

/// The first thing that layers A to C find in a value.
pub(super) fn first(value: &str, meter: &mut Meter) -> Option<(Range<usize>, Secret)> {
    if value.len() < SHORTEST {
        return None;
    }
    leads::of(value).find_map(|(lead, hit)| follow(value, lead, &hit, meter))
}
