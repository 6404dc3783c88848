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
    "sqlplus", "sqlldr", "expdp", "impdp", "npm config", "npm set", "yarn config", "poetry config",
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

/// Words that a command may stand behind; the first is a prompt's.
const BEFORE_COMMANDS: [&str; 12] =
    ["$", "exec", "sudo", "timeout", "then", "do", "until", "while", "if", "!", "echo", "else"];

/// Where in `words` the command's password stands: which word, and which bytes of it.
pub(super) fn password(words: &[&str]) -> Option<(usize, Range<usize>)> {
    let name_at = words
        .iter()
        .position(|word| !word.contains('=') && !word.starts_with("$(") && !BEFORE_COMMANDS.contains(word))?;
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
        "sqlplus" | "sqlldr" | "expdp" | "impdp" => {
            return oracle(arguments).map(|(word, range)| (offset + word, range));
        }
        "npm" | "pnpm" | "yarn" => {
            let key = arguments.iter().position(|word| *word == "set")? + 1;
            let named =
                |word: &&str| ["_authToken", "_auth", "_password", "AuthToken"].iter().any(|end| word.ends_with(end));
            arguments.get(key).filter(|word| named(word)).map(|_| (key + 1, 0))
        }
        "poetry" => match arguments.get(1) {
            Some(key) if key.starts_with("pypi-token.") => Some((2, 0)),
            Some(key) if key.starts_with("http-basic.") => Some((3, 0)),
            _ => None,
        },
        "sqlcmd" => after(arguments, "-P").or_else(|| attached(arguments, "-P")),
        _ if name.starts_with("mysql") || name.starts_with("mariadb") => attached(arguments, "-p"),
        _ if name.starts_with("mongo") => after(arguments, "-p"),
        _ if name.starts_with("ldap") => after(arguments, "-w"),
        _ => None,
    };
    let (word, from) = found?;
    let text = words.get(offset + word)?;
    text.get(from..).filter(|rest| !rest.is_empty() && !rest.starts_with('-'))?;
    Some((offset + word, from..text.len()))
}

/// `user/password@database` of Oracle's tools; `/nolog` and `/ as sysdba` have no user.
fn oracle(arguments: &[&str]) -> Option<(usize, Range<usize>)> {
    let (at, word) = arguments.iter().enumerate().find(|(_, word)| !word.starts_with('-'))?;
    let (user, rest) = word.split_once('/')?;
    let named = !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$#".contains(&b));
    let from = user.len() + 1;
    let len = rest.find('@').unwrap_or(rest.len());
    (named && len > 0).then_some((at, from..from + len))
}

/// What a command whose `words` ask for it gets from its standard input: `echo X | docker login --password-stdin`, `... <<< X`.
pub(super) fn from_stdin(text: &str, words: &[Range<usize>]) -> Option<Range<usize>> {
    const ASKS: [&str; 2] = ["--password-stdin", "--with-token"];
    words.iter().find(|word| text.get((*word).clone()).is_some_and(|word| ASKS.contains(&word)))?;
    here_string(text, words).or_else(|| piped(text, words.first()?.start))
}

fn here_string(text: &str, words: &[Range<usize>]) -> Option<Range<usize>> {
    let at = words.iter().position(|word| text[word.clone()].starts_with("<<<"))?;
    let rest = &text[words[at].clone()][3..];
    if rest.is_empty() {
        return words.get(at + 1).cloned();
    }
    let quote = usize::from(rest.starts_with(['"', '\'']));
    Some(words[at].start + 3 + quote..words[at].end)
}

/// The last word of the `echo` or `printf` that is piped into the command at `start`.
fn piped(text: &str, start: usize) -> Option<Range<usize>> {
    let before = text.as_bytes().get(..start)?.trim_ascii_end().strip_suffix(b"|")?;
    let from = before.len().saturating_sub(256);
    let begin = before[from..].iter().rposition(|b| b"\n;|&(".contains(b)).map_or(from, |at| from + at + 1);
    let said = words(text.get(..before.len())?, begin, begin);
    let name = said.iter().position(|word| matches!(text.get(word.clone()), Some("echo" | "printf")))?;
    let last = said.len() - 1;
    (last > name).then(|| said[last].clone())
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
        password(&words).map(|(word, range)| words[word][range].to_owned())
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
            ("sqlplus -s app/Xk29vTq7@//db:1521/x @init.sql", "Xk29vTq7"),
            ("npm config set //r.corp/:_authToken Xk29vTq7", "Xk29vTq7"),
            ("poetry config http-basic.corp ci Xk29vTq7", "Xk29vTq7"),
            (concat!("$ cu", "rl https://nexus.corp \\\n --user admin:Xk29vTq7"), "Xk29vTq7"),
        ] {
            assert_eq!(of(script).as_deref(), Some(expected), "{script}");
        }
    }

    #[test]
    fn what_is_piped_in_is_a_password_where_it_is_asked_for() {
        let of = |script: &str| {
            let hit = script.find(" login")?;
            from_stdin(script, &command_at(script, &(hit..hit + 6))).map(|range| script[range].to_owned())
        };
        for (script, expected) in [
            ("echo Xk29vTq7 | docker login -u ci --password-stdin r.corp", Some("Xk29vTq7")),
            ("set -e; echo -n 'Xk29vTq7' | helm registry login r.corp --password-stdin", Some("Xk29vTq7")),
            ("printf '%s' \"Xk29vTq7\" | docker login --password-stdin", Some("Xk29vTq7")),
            ("docker login -u ci --password-stdin <<< Xk29vTq7", Some("Xk29vTq7")),
            ("docker login -u ci --password-stdin <<<'Xk29vTq7'", Some("Xk29vTq7")),
            ("cat /run/pw | docker login --password-stdin", None),
            ("echo done | docker login -u ci", None),
            ("echo done; docker login --password-stdin < /run/pw", None),
        ] {
            assert_eq!(of(script).as_deref(), expected, "{script}");
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
            "sqlplus / as sysdba",
            "sqlplus /nolog",
            "sqlplus app@db",
            "npm config set registry https://r.corp/npm/",
        ] {
            assert_eq!(of(script), None, "{script}");
        }
    }
}
