//! Scripts and programs that look a secret up, test one or mask one are no leak; a literal among them is one.

use super::*;

/// The text as a script, as the one line of a file, and in the middle of one.
fn placed(line: &str) -> Vec<Json> {
    vec![
        config("run", line),
        config("run", &format!("# x\n    {line}\nx=1\n")),
        container(json!({"command": ["sh", "-c", format!("set -e; {line}; exec app")]})),
        container(json!({"args": ["-c", line]})),
    ]
}

fn certain(object: &Json) -> bool {
    found(object).iter().any(|found| found.certainty == Certainty::Certain)
}

fn passes(lines: &str) {
    for line in lines.trim().lines() {
        let line = line.replace("@@", PASSWORD);
        for object in placed(&line) {
            assert!(!certain(&object), "{line}: {object}: {:?}", found(&object));
        }
    }
}

fn is_refused(lines: &str) {
    for line in lines.trim().lines() {
        assert!(line.contains("@@"), "{line}");
        for object in placed(&line.replace("@@", PASSWORD)) {
            let all = found(&object);
            let one = all.iter().find(|found| found.certainty == Certainty::Certain);
            assert!(one.is_some_and(|found| found.value.contains(PASSWORD)), "{line}: {object}: {all:?}");
        }
    }
}

#[test]
fn parameter_expansions_that_test_or_cut_hold_nothing() {
    passes(
        r#"
: "${DB_PASSWORD:?must be set}"
: ${DB_PASSWORD:?DB_PASSWORD is required}
: "${DB_PASSWORD?must be set}"
exec app --password "${DB_PASSWORD:?must be set}"
exec app --password=${DB_PASSWORD:?don't start without}
DB_URL="postgres://u:${DB_PASSWORD:?missing}@h/db"
DB_URL="postgres://u:${DB_PASSWORD:-$(cat /run/pw)}@h/db"
if [ "${DB_PASSWORD:+set}" = set ]; then echo
[ -n "${API_TOKEN+x}" ] || exit 1
PASSWORD=${PASSWORD:-$(cat /run/pw)}
PASSWORD="${PASSWORD:-$(openssl rand -hex 16)}"
PASSWORD="${PASSWORD:-$(cat "$FILE")}"
PASSWORD=${PASSWORD:=`cat /run/pw`}
API_TOKEN="${API_TOKEN:-$(tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32)}"
PASSWORD=${PASSWORD%%:*}
PASSWORD="${PASSWORD//[^a-zA-Z0-9]/_}"
TOKEN="${HEADER#Authorization: Bearer }"
PASSWORD=${PASSWORD:0:16}
PASSWORD=${!VARIABLE:-}
PASSWORD=${DB_PASSWORD:-${POSTGRES_PASSWORD:?neither is set}}
PASSWORD="${DB_PASSWORD:-$POSTGRES_PASSWORD}"
PASSWORD=${PASSWORD:-/run/secrets/pw}
PASSWORD=${PASSWORD:-}
password: ${env:DB_PASSWORD:?required}
{user: u, password: ${DB_PASSWORD:?must be set}}
mysql -u root -p"${MYSQL_ROOT_PASSWORD:?not set}" -e 'select 1'
curl -u "admin:${ADMIN_PASSWORD:?not set}" https://x
redis-cli -a "${REDIS_PASSWORD:?not set}" ping
"#,
    );
}

#[test]
fn a_literal_default_of_an_expansion_is_a_secret() {
    is_refused(
        r#"
PASSWORD=${PASSWORD:-@@}
PASSWORD="${PASSWORD:-@@}"
PASSWORD=${SETTING:-@@}
PASSWORD="${SETTING-'@@'}"
: "${DB_PASSWORD:=@@}"
: ${DB_PASSWORD=@@}
: ${DB_PASSWORD-@@}
PASSWORD=${DB_PASSWORD:-${SETTING:-@@}}
password: ${DB_PASSWORD:@@}
password: ${env:DB_PASSWORD:-@@}
exec app --password "${DB_PASSWORD:-@@}"
DB_URL="postgres://u:${DB_PASSWORD:-@@}@h/db"
mysql -u root -p"${SETTING:-@@}" -e 'select 1'
curl -u "admin:${ADMIN_PASSWORD:-@@}" https://x
"#,
    );
    let whole = one(&env("DB_PASSWORD", &format!("${{SETTING:-{PASSWORD}}}")));
    assert_eq!((whole.certainty, whole.value.as_str()), (Certainty::Certain, PASSWORD));
    assert!(found(&env("DB_PASSWORD", "${SETTING:-}")).is_empty());
}

#[test]
fn a_call_whose_argument_is_quoted_is_no_secret() {
    passes(
        r#"
conn = connect(host=os.environ["DB_HOST"], password=os.getenv("DB_PASSWORD"), port=1)
password=os.getenv("DB_PASSWORD"),
password=os.environ.get("DB_PASSWORD", ""),
DATABASES = {"default": {"PASSWORD": env("DB_PASSWORD", default=""), "HOST": "h"}}
api_key=load_secret('openai/api-key'),
password = config.get("db", "password")
token = Path("/run/secrets/token").read_text().strip()
local password = os.getenv("PASSWORD")
String password = System.getenv("DB_PASSWORD");
def password = System.getenv('PW')
$db_password = getenv('X') ?: '';
$password = trim(file_get_contents('/run/secrets/db'));
return array('host' => 'x', 'password' => getenv('X'), 'port' => 3306);
const token = fs.readFileSync('/run/secrets/token', 'utf8').trim();
db.createUser({user: "app", pwd: _getEnv("APP_PASSWORD"), roles: []})
password: process.env.DB_PASSWORD || '',
cfg := Config{User: "x", Password: os.Getenv("DB_PASSWORD"), Host: "h"}
let password = std::env::var("DB_PASSWORD")?;
var c = new Connection { Password = Environment.GetEnvironmentVariable("PW"), User = "u" };
val password = sys.env.getOrElse("DB_PASSWORD", "")
gitlab_rails['initial_root_password'] = File.read('/run/secrets/pw').strip
$password = (Get-Content -Raw "C:\secrets\pw.txt").Trim()
password = jsondecode(data.aws_secretsmanager_secret_version.db.secret_string)["password"]
SELECT * FROM users WHERE password = crypt($1, password);
UPDATE mysql.user SET password = PASSWORD(:pw) WHERE user = 'root';
yq -i '.a.password = env(P)' x
python -c "import os; connect(password=os.getenv('DB_PASSWORD'))"
node -e 'const password = fs.readFileSync("/run/pw", "utf8")'
password = "@file:/run/pw"
"#,
    );
    passes("password = os.getenv(");
    assert!(found(&config("a.py", "password = os.getenv(\n    \"DB_PASSWORD\",\n)\n")).is_empty());
}

#[test]
fn a_literal_argument_and_a_literal_to_fall_back_to_are_secrets() {
    is_refused(
        r#"
conn = connect(host="h", password="@@")
connect(password='@@', port=1)
DATABASES = {"default": {"PASSWORD": "@@", "HOST": "h"}}
password=os.getenv("DB_PASSWORD", "@@"),
"PASSWORD": env("DB_PASSWORD", default="@@"),
$db_password = getenv('DB_PASSWORD') ?: '@@';
'password' => env('DB_PASSWORD', '@@'),
password: process.env.DB_PASSWORD || '@@',
db.createUser({user: "app", pwd: "@@", roles: []})
String password = "@@";
CREATE USER app WITH PASSWORD '@@';
"#,
    );
}

#[test]
fn what_masks_or_rewrites_a_password_holds_none() {
    passes(
        r#"
pattern /password=\S+/
pattern /(password|token)=[^\s&]+/
Regex password=(?<pw>\w+)
message ${record["message"].gsub(/password=\S+/, 'password=***')}
record["log"] = string.gsub(record["log"], "token=[%w]+", "token=HIDDEN")
s.replace(/"token":\s*"[^"]*"/, '"token":"[masked]"')
re.sub(r'(password\s*[:=]\s*)\S+', r'\1***', line)
regex: '"password":"(\\w+)"'
.message = replace(.message, r'password=\S+', "password=***") ?? ""
sed -i "s/^password=.*/password=$P/" x
sed -i 's/password=.*/password=REDACTED/' x
sed -i "s|^requirepass .*|requirepass $P|" x
sed -E 's/(password|token)=[^ ]+/\1=***/g' x
perl -pe 's/password=\S+/password=xxx/' x
grep -oP 'token=\K[^&]+' x
"#,
    );
    is_refused("sed -i 's/^password=.*/password=@@/' x");
}

#[test]
fn comments_of_every_language() {
    for line in [
        "# password = @@",
        ";password = @@",
        "; password = @@",
        "//password = \"@@\";",
        "-- password = '@@'",
        "/* password = \"@@\" */",
        " * password = \"@@\"",
        "<!-- <password>@@</password> -->",
        "REM set PASSWORD=@@",
        ":: set PASSWORD=@@",
        "!password=@@",
        "{# password=@@ #}",
        "{{/* password: @@ */}}",
        "port = 1 # password = @@",
        "run(); // password = \"@@\"",
    ] {
        let line = line.replace("@@", PASSWORD);
        let text = format!("a = b\n  {line}\nc = d\n");
        assert!(found(&config("f", &text)).is_empty(), "{text}");
    }
    for line in
        ["--password=@@", "  --password @@", "/* old */ password = \"@@\";", "<!-- db --> <password>@@</password>"]
    {
        let text = format!("a = b\n{}\nc = d\n", line.replace("@@", PASSWORD));
        assert!(certain(&config("f", &text)), "{text}");
    }
    // grafana.ini as it is delivered.
    let grafana = format!("[security]\n;admin_user = admin\n;secret_key = {}\n", concat!("SW2YcwTIb9", "zpOOhoPsMm"));
    assert!(found(&config("grafana.ini", &grafana)).is_empty());
}
