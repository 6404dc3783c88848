//! Commands that take a password in a notation of their own: `mysql -pX`, `curl -u user:X`, `redis-cli -a X`.
//!
//! Reads the words after a command's name, in a script or in an exec list. `--password=X` and `PASSWORD=X` are assignments and
//! not looked at here; whether a word is a secret is asked of `classify`.

use std::ops::Range;

/// What begins such a command, for the automaton; matched anywhere, `command_at` makes sure.
#[rustfmt::skip] // a list of words
pub(super) const COMMANDS: &[&str] = &[
    "curl", "mysql", "mariadb", "redis-cli", "valkey-cli", "sshpass", " login", "mongo", "ldapsearch", "ldapadd", "ldapmodify", "ldapdelete",
    "ldapwhoami", "openssl", "htpasswd", "aws configure", "chpasswd", "rabbitmqctl", "mc alias", "mc config", "smbclient", "iredis", "cypher-shell", "sqlcmd", "identified by",
];

/// A script's command is not read further than this.
const MAX_BYTES: usize = 2048;
const MAX_WORDS: usize = 48;

/// The words of the command whose name was seen at `hit`, the name itself first.
pub(super) fn command_at(text: &str, hit: &Range<usize>) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    // The whole command: back to what separates commands.
    let from = hit.start.saturating_sub(256);
    let start = bytes[from..hit.start].iter().rposition(|b| b"\n;|&(`".contains(b)).map_or(from, |at| from + at + 1);
    words(text, start, hit.start)
}

/// Splits at blanks, keeps quoted words together, ends at `;`, `|`, `&`, a newline; `must` lies within.
fn words(text: &str, start: usize, must: usize) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let end = bytes.len().min(must + MAX_BYTES);
    let mut words = Vec::new();
    let mut at = start;
    while at < end && words.len() < MAX_WORDS {
        match bytes[at] {
            b' ' | b'\t' | b'\r' => at += 1,
            b'\\' if matches!(bytes.get(at + 1), Some(b'\n' | b'\r')) => at += 2,
            b'\n' | b';' | b'|' | b'&' | b')' if at > must => break,
            b'\n' | b';' | b'|' | b'&' | b')' | b'(' => at += 1,
            quote @ (b'"' | b'\'') => {
                let len = bytes[at + 1..end].iter().position(|b| *b == quote).unwrap_or(end - at - 1);
                words.push(at + 1..at + 1 + len);
                at += len + 2;
            }
            _ => {
                let len = bytes[at..end].iter().position(|b| b" \t\r\n;|&)".contains(b)).unwrap_or(end - at);
                let mut word = at..at + len;
                // `-p"X"`, `--user='a:b'`: a quote inside opens a part that may hold blanks.
                if let Some(open) = bytes[word.clone()].iter().position(|b| b"\"'".contains(b)) {
                    let quote = bytes[at + open];
                    let rest = at + open + 1;
                    let close = bytes[rest..end].iter().position(|b| *b == quote).unwrap_or(end - rest);
                    word = at..rest + close;
                    at = word.end + 1;
                } else {
                    at = word.end;
                }
                words.push(word);
            }
        }
    }
    words
}

/// Where in `words` the command's password stands: which word, and from which byte of it.
pub(super) fn password(words: &[&str]) -> Option<(usize, usize)> {
    let name_at = words.iter().position(|word| {
        !word.contains('=')
            && *word != "exec"
            && *word != "sudo"
            && *word != "timeout"
            && *word != "then"
            && *word != "do"
            && *word != "until"
            && *word != "while"
            && *word != "if"
            && *word != "!"
            && !word.starts_with("$(")
            && *word != "echo"
    })?;
    let name = words[name_at].rsplit(['/', '(', '`']).next().unwrap_or_default();
    let arguments = &words[name_at + 1..];
    let offset = name_at + 1;
    let found = match name {
        "curl" => user_and_password(arguments, &["-u", "-U", "--user", "--proxy-user"], ':'),
        "smbclient" => user_and_password(arguments, &["-U", "--user"], '%'),
        "sshpass" => after(arguments, "-p").or_else(|| attached(arguments, "-p")),
        "redis-cli" | "valkey-cli" | "iredis" => after(arguments, "-a").or_else(|| after(arguments, "--pass")),
        "docker" | "podman" | "helm" | "skopeo" | "buildah" | "oras" | "crane" | "nerdctl" | "az" | "oc" | "argocd"
            if arguments.contains(&"login") =>
        {
            after(arguments, "-p")
        }
        "vault" if arguments.first() == Some(&"login") => {
            arguments.get(1).filter(|word| !word.contains(['-', '=', '$'])).map(|_| (1, 0))
        }
        "openssl" => arguments.iter().position(|word| word.starts_with("pass:")).map(|at| (at, 5)),
        "htpasswd" if arguments.iter().any(|word| word.starts_with('-') && word.contains('b')) => {
            arguments.len().checked_sub(1).filter(|last| *last >= 2).map(|last| (last, 0))
        }
        "aws"
            if arguments.starts_with(&["configure", "set"])
                && arguments.get(2).is_some_and(|key| key.contains("secret") || key.contains("session_token")) =>
        {
            arguments.get(3).map(|_| (3, 0))
        }
        "rabbitmqctl" => {
            arguments.iter().position(|word| *word == "add_user" || *word == "change_password").map(|at| (at + 2, 0))
        }
        "mc" => arguments.iter().position(|word| word.contains("://")).map(|at| (at + 2, 0)),
        "cypher-shell" => after(arguments, "-p"),
        "sqlcmd" => after(arguments, "-P").or_else(|| attached(arguments, "-P")),
        _ if name.starts_with("mysql") || name.starts_with("mariadb") => attached(arguments, "-p"),
        _ if name.starts_with("mongo") => after(arguments, "-p"),
        _ if name.starts_with("ldap") => after(arguments, "-w"),
        _ => None,
    };
    let (word, from) = found?;
    words.get(offset + word)?.get(from..).filter(|rest| !rest.is_empty() && !rest.starts_with('-'))?;
    Some((offset + word, from))
}

/// The word after a flag.
fn after(arguments: &[&str], flag: &str) -> Option<(usize, usize)> {
    arguments.iter().position(|word| *word == flag).map(|at| (at + 1, 0))
}

/// What is written onto a flag of one letter.
fn attached(arguments: &[&str], flag: &str) -> Option<(usize, usize)> {
    let at = arguments
        .iter()
        .position(|word| word.len() > flag.len() && word.starts_with(flag) && word.as_bytes()[1] != b'-')?;
    let quote = arguments[at].as_bytes().get(flag.len()).is_some_and(|b| b"\"'".contains(b));
    Some((at, flag.len() + usize::from(quote)))
}

/// `-u user:password`, `-uuser:password`, `--user=user:password`.
fn user_and_password(arguments: &[&str], flags: &[&str], between: char) -> Option<(usize, usize)> {
    for (at, word) in arguments.iter().enumerate() {
        if flags.contains(word) {
            let colon = arguments.get(at + 1)?.find(between)?;
            return Some((at + 1, colon + 1));
        }
        let attached =
            flags.iter().any(|flag| word.starts_with(flag) && (flag.len() == 2 || word[flag.len()..].starts_with('=')));
        if attached
            && !word.starts_with("--url")
            && let Some(colon) = word.find(between)
        {
            return Some((at, colon + 1));
        }
    }
    None
}

/// The quoted word right after `IDENTIFIED BY` of SQL, which was seen at `hit`; a hash is `IDENTIFIED BY PASSWORD '*...'`.
pub(super) fn identified_by(text: &str, hit: &Range<usize>) -> Option<Range<usize>> {
    let rest = text.get(hit.end..)?.as_bytes();
    let blanks = rest.iter().take(8).take_while(|b| b.is_ascii_whitespace()).count();
    let quote = *rest.get(blanks).filter(|b| b"'\"".contains(b))?;
    let inner = &rest[blanks + 1..rest.len().min(blanks + 1 + 256)];
    let len = memchr::memchr(quote, inner)?;
    let start = hit.end + blanks + 1;
    Some(start..start + len)
}

/// The password of `echo "user:password" | chpasswd`, which stands before the command seen at `hit`.
pub(super) fn piped_to_chpasswd(text: &str, hit: &Range<usize>) -> Option<Range<usize>> {
    let from = hit.start.saturating_sub(256);
    let before = text.get(from..hit.start)?;
    let echo = from + before.rfind("echo ")? + 5;
    let word = words(text, echo, echo).into_iter().next()?;
    let colon = text.get(word.clone())?.find(':')?;
    Some(word.start + colon + 1..word.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script: &str) -> Option<String> {
        let words = words(script, 0, 0);
        let words: Vec<&str> = words.into_iter().map(|word| &script[word]).collect();
        password(&words).map(|(word, from)| words[word][from..].to_owned())
    }

    #[test]
    fn each_command_has_its_own_notation() {
        for (script, expected) in [
            ("mysql -uroot -pS3cr3tR00t -h db -e \"select 1\"", "S3cr3tR00t"),
            (concat!("cu", "rl -u admin:Xk29vTq7 https://nexus.corp/repo"), "Xk29vTq7"),
            (concat!("cu", "rl --user \"admin:Xk29vTq7\" https://nexus.corp/repo"), "Xk29vTq7"),
            ("redis-cli -a Xk29vTq7 ping", "Xk29vTq7"),
            ("sshpass -p 'Xk29 vTq7' ssh h", "Xk29 vTq7"),
            ("docker login -u ci -p Xk29vTq7 registry", "Xk29vTq7"),
            ("aws configure set aws_secret_access_key Xk29vTq7", "Xk29vTq7"),
            ("mysqladmin -p\"Xk29vTq7\" ping", "Xk29vTq7"),
        ] {
            assert_eq!(of(script).as_deref(), Some(expected), "{script}");
        }
    }

    #[test]
    fn a_prompt_a_port_and_another_command_are_none() {
        for script in [
            "mysql -u root -p -h db",
            "ssh -p 22 host",
            "curl -u admin https://x",
            "mkdir -p /data/mysql",
            "docker run -p 80:80 x",
        ] {
            assert_eq!(of(script), None, "{script}");
        }
    }
}
