//! Whether a place in a text is commented out, whatever the language.
//!
//! Looks at the line before the place only; a comment over several lines is known by what its lines begin with.

/// What a line of comment begins with.
const BEGINNINGS: [&[u8]; 12] =
    [b"#", b";", b"* ", b"-- ", b"%% ", b"% ", b"REM ", b"rem ", b":: ", b"dnl ", b"{#", b"{{!"];

/// What a comment begins and ends with; one that has ended on the same line says nothing of what follows.
const PAIRS: [(&[u8], &[u8]); 4] = [(b"/*", b"*/"), (b"<!--", b"-->"), (b"{{/*", b"*/"), (b"(*", b"*)")];

/// Whether what follows `line` is a comment. `whole` when `line` starts where the text's line does.
pub(super) fn covers(line: &[u8], whole: bool) -> bool {
    let start = line.trim_ascii_start();
    let has = |text: &[u8], part: &[u8]| memchr::memmem::find(text, part).is_some();
    if whole && BEGINNINGS.iter().any(|beginning| start.starts_with(beginning)) {
        return true;
    }
    // "//registry.example.com/:_authToken" of .npmrc.
    if whole && start.starts_with(b"//") && !start.ends_with(b"/:") {
        return true;
    }
    // Java's properties; `!secret x` is a tag of YAML.
    if whole && start == b"!" {
        return true;
    }
    if PAIRS.iter().any(|(open, close)| whole && start.starts_with(open) && !has(start, close)) {
        return true;
    }
    // Behind other text, with a blank on both sides.
    let alone = |at: usize, mark: usize| at > 0 && line[at - 1] == b' ' && line.get(at + mark) == Some(&b' ');
    memchr::memchr2_iter(b'#', b'/', line).any(|at| match line[at] {
        b'#' => alone(at, 1),
        _ => line.get(at + 1) == Some(&b'/') && alone(at, 2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_own() {
        for line in [
            "# ",
            "#",
            ";",
            "; ",
            "// ",
            "//",
            "* ",
            "  * ",
            "-- ",
            "/* ",
            "/** ",
            "<!-- <",
            "REM set ",
            ":: set ",
            "!",
            "% ",
            "dnl ",
            "{# ",
            "{{/* ",
            "{{!-- ",
            "port: 1 # ",
            "call() // ",
            "(* ",
        ] {
            assert!(covers(line.as_bytes(), true), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for line in [
            "",
            "--",
            "  --",
            "//registry.corp/:",
            "/* old */ ",
            "<!-- old --> <",
            "- ",
            "*",
            "x#",
            "rm -rf /tmp/* && ",
            "http://x/",
            "set ",
        ] {
            assert!(!covers(line.as_bytes(), true), "{line}");
        }
        assert!(!covers(b"; ", false), "the middle of a long line");
    }
}
