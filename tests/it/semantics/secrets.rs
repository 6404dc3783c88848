//! as far as secrets go: they ratchet by value, and no value is ever printed.

use serde_json::{Value, json};

use crate::support::*;

/// Random-looking, and no known token: assembled, so that no scanner of this repository stops here.
const ONE: &str = concat!("q7!Zr", "0pW_x", "2Lk9");
const TWO: &str = concat!("Vt4$n", "8mJ-c", "1Ys6");

const ENV: &str = "/spec/template/spec/containers/0/env";

fn shop() -> World {
    World::built_in().in_namespace("shop")
}

fn with_password(value: &str) -> Value {
    with(good_deployment(), ENV, json!([{"name": "DB_PASSWORD", "value": value}]))
}

fn config_map(text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"db.password": text, "colour": "blue"}})
}

/// embedded-secret: "all workloads, ConfigMap": Deny
#[test]
fn a_secret_in_a_manifest_is_refused() {
    shop()
        .validate(&Review::create(with_password(ONE)))
        .assert_refused(&["embedded-secret /spec/template/spec/containers/0/env/0/value"]);
    shop().validate(&Review::create(config_map(ONE))).assert_refused(&["embedded-secret /data/db.password"]);
    shop().validate(&Review::create(config_map("changeme"))).assert_warned(&["weak-credential /data/db.password"]);
}

/// "a new secret does not hide behind an old one"
#[test]
fn another_secret_under_the_same_key_is_new() {
    for make in [with_password as fn(&str) -> Value, config_map] {
        let (one, two) = (make(ONE), make(TWO));
        let touched = with(one.clone(), "/metadata/labels/a", json!("b"));
        assert_eq!(shop().validate(&Review::update(one.clone(), touched)).warned().len(), 1);
        assert_eq!(shop().validate(&Review::update(one, two)).causes().len(), 1);
        // Nor behind one that only warns.
        assert_eq!(shop().validate(&Review::update(make("changeme"), make(TWO))).causes().len(), 1);
    }
}

/// The same secret under another key, or in another container, is one more place where it stands.
#[test]
fn the_same_secret_elsewhere_is_new() {
    let old = with_password(ONE);
    let copied = with(old.clone(), &format!("{ENV}/1"), json!({"name": "API_PASSWORD", "value": ONE}));
    shop()
        .validate(&Review::update(old.clone(), copied))
        .assert_refused(&["embedded-secret /spec/template/spec/containers/0/env/1/value"]);
    // Moved down by a variable in front of it, it is the same.
    let moved =
        with(old.clone(), ENV, json!([{"name": "LEVEL", "value": "info"}, {"name": "DB_PASSWORD", "value": ONE}]));
    assert_eq!(
        shop().validate(&Review::update(old, moved)).warned(),
        ["embedded-secret /spec/template/spec/containers/0/env/1/value"]
    );
}

/// "`pods/ephemeralcontainers` ... judged"
#[test]
fn a_secret_given_to_a_debugger_is_refused() {
    let pod = with(scan_pod(), "/metadata/name", json!("p"));
    let debugged = with(
        pod.clone(),
        "/spec/ephemeralContainers",
        json!([{"name": "d", "image": "busybox", "env": [{"name": "DB_PASSWORD", "value": ONE}]}]),
    );
    let answer = shop().validate(&Review::update(pod, debugged).through("ephemeralcontainers"));
    answer.assert_refused(&["embedded-secret /spec/ephemeralContainers/0/env/0/value"]);
}

/// an Exemption names "keys: [DB_PASSWORD]"
#[test]
fn one_key_can_be_exempted() {
    let exemption = "{kind: Exemption, metadata: {name: e}, spec: {owner: t, reason: r, expires: '2027-01-01', rules: [embedded-secret], match: {namespaces: [shop], keys: [DB_PASSWORD]}}}";
    let world = World::new(&[BUILT_IN[0], exemption]).in_namespace("shop");
    let both = with(with_password(ONE), &format!("{ENV}/1"), json!({"name": "API_PASSWORD", "value": TWO}));
    let answer = world.validate(&Review::create(both));
    answer.assert_refused(&["embedded-secret /spec/template/spec/containers/0/env/1/value"]);
    assert_eq!(answer.audited(), ["embedded-secret /spec/template/spec/containers/0/env/0/value"]);
}

/// "A secret's value is never printed: no characters of it and no length"
#[test]
fn no_answer_holds_a_value() {
    let exemption = "{kind: Exemption, metadata: {name: e}, spec: {owner: t, reason: r, expires: '2027-01-01', rules: [embedded-secret], match: {namespaces: [shop], kinds: [Job]}}}";
    let world = World::new(&[BUILT_IN[0], exemption]).in_namespace("shop");
    let everywhere = |value: &str| {
        let object = with(with_password(value), "/metadata/annotations/password", json!(value));
        let object = with(
            object,
            "/spec/template/spec/containers/0/args",
            json!(["--password", value, format!("--token={value}")]),
        );
        with(object, &format!("{ENV}/1"), json!({"name": "URL", "value": format!("postgres://app:{value}@db/app")}))
    };
    let (one, two) = (everywhere(ONE), everywhere(TWO));
    let job = with(with(one.clone(), "/kind", json!("Job")), "/apiVersion", json!("batch/v1"));
    for review in [
        Review::create(one.clone()),
        Review::update(one.clone(), two.clone()),
        Review::update(two.clone(), with(two, "/spec/replicas", json!(9))),
        Review::create(job),
    ] {
        let answer = world.validate(&review);
        assert!(!answer.outcome.verdicts.is_empty());
        let texts = [answer.wire.to_string(), format!("{:?}", answer.outcome)];
        for secret in [ONE, TWO] {
            // Any six characters in a row would give it away.
            for part in (0..=secret.len() - 6).map(|at| &secret[at..at + 6]) {
                assert!(texts.iter().all(|text| !text.contains(part)), "{part}");
            }
        }
    }
}

/// "An object too large to judge within the budget gives finding `too-large-to-judge`, never silence."
#[test]
fn an_object_beyond_the_budget_says_so() {
    let text = "lorem ipsum dolor ".repeat(1_000_000);
    let large = with(config_map("see-the-secret"), "/data/text", json!(text));
    let answer = shop().validate(&Review::create(large.clone()));
    answer.assert_warned(&["too-large-to-judge "]);
    assert_eq!(answer.warnings(), ["[too-large-to-judge] too large to be searched for secrets to its end"]);
    // Where nobody searches, nothing was left unseen.
    World::new(&["{kind: GuardPolicy, spec: {rules: {required-limits: {}}}}"])
        .validate(&Review::create(large))
        .assert_clean();
}

fn guard(parameters: &str) -> World {
    let guard =
        format!("{{kind: GuardPolicy, spec: {{rules: {{embedded-secret: {parameters}, weak-credential: {{}}}}}}}}");
    World::new(&[&guard]).in_namespace("shop")
}

/// bcrypt's, assembled.
fn hash() -> String {
    format!("{}{}", concat!("$2", "y$10$"), "Zk3pQ9xL0vRt7WmY2nBc8HdS5jGfA1eUo4i6TgKqXzN5bVcMwEr7a")
}

/// "password hashes (bcrypt, {SHA}, crypt) as a parameter of the rule"
#[test]
fn password_hashes_are_refused_where_a_policy_asks() {
    let file = with(
        config_map("x"),
        "/data/htpasswd",
        json!(format!("# users\nann:{}\nbob:{}\n", hash(), hash().replace("Zk", "kZ"))),
    );
    guard("{}").validate(&Review::create(file.clone())).assert_clean();
    guard("{}").validate(&Review::create(with_password(&hash()))).assert_clean();
    let world = guard("{passwordHashes: true}");
    let answer = world.validate(&Review::create(file.clone()));
    answer.assert_refused(&["embedded-secret /data/htpasswd", "embedded-secret /data/htpasswd"]);
    assert!(answer.message().contains("line 3 of key htpasswd holds a password hash"), "{}", answer.message());
    assert!(!answer.wire.to_string().contains("Zk3p"));
    world
        .validate(&Review::create(with_password(&hash())))
        .assert_refused(&[&format!("embedded-secret {ENV}/0/value")]);
    // What one policy asks for, another does not have to want.
    let both = World::new(&[
        "{kind: GuardPolicy, spec: {rules: {embedded-secret: {passwordHashes: true, action: Warn}}}}",
        "{kind: GuardPolicy, spec: {rules: {embedded-secret: {}}}}",
    ]);
    let answer = both.in_namespace("shop").validate(&Review::create(file));
    answer.assert_warned(&["embedded-secret /data/htpasswd", "embedded-secret /data/htpasswd"]);
}

/// "a bad checksum is a reason to doubt a bare token, not to miss a secret that its key gives away"
#[test]
fn a_wrong_checksum_excuses_a_bare_token_where_a_policy_says_so() {
    let token = format!("{}{}", concat!("gh", "p_"), "a1Qx9PlMw3Zc7Vb2Nk8Jd4Hs6Gf0Tr5Ey1Uo");
    let under = |name: &str| Review::create(with(good_deployment(), ENV, json!([{"name": name, "value": token}])));
    let pointer = format!("embedded-secret {ENV}/0/value");
    guard("{}").validate(&under("SETTING")).assert_refused(&[&pointer]);
    guard("{trustChecksums: true}").validate(&under("SETTING")).assert_warned(&[&pointer]);
    guard("{trustChecksums: true}").validate(&under("GITHUB_TOKEN")).assert_refused(&[&pointer]);
}

// === more than are listed ===

/// A ConfigMap of lines.
fn lines(lines: impl IntoIterator<Item = String>) -> Value {
    config_map(&lines.into_iter().collect::<Vec<_>>().join("\n"))
}

fn weak(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("a{n}.password=changeme"))
}

fn certain(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|n| format!("s{n}.password=Xy7{n}Kq9Zw"))
}

fn secret(value: &str) -> String {
    format!("db.password={value}")
}

/// What is only warned about is no place to hide behind: not in a file, not in variables, not on UPDATE.
#[test]
fn no_number_of_weak_passwords_hides_a_secret() {
    let repeated = || std::iter::repeat_n("password=changeme".to_owned(), 1000);
    for decoys in [weak(1000).collect::<Vec<_>>(), repeated().collect()] {
        let old = lines(decoys.iter().cloned());
        let new = lines(decoys.iter().cloned().chain([secret(ONE)]));
        for review in [Review::create(new.clone()), Review::update(old, new)] {
            let answer = shop().validate(&review);
            answer.assert_refused(&["embedded-secret /data/db.password"]);
            assert!(answer.message().contains("line 1001 of key"), "{}", answer.message());
            assert!(answer.outcome.verdicts.iter().all(|verdict| verdict.finding.rule != "too-large-to-judge"));
        }
    }
    let mut env: Vec<_> = (0..1000).map(|n| json!({"name": format!("A{n}"), "value": "pass=word"})).collect();
    env.push(json!({"name": "DB_PASSWORD", "value": ONE}));
    shop()
        .validate(&Review::create(with(good_deployment(), ENV, json!(env))))
        .assert_refused(&[&format!("embedded-secret {ENV}/1000/value")]);
}

/// "a new secret does not hide behind an old one", and what was there stays changeable, however many there are.
#[test]
fn the_ratchet_knows_each_of_many_secrets() {
    let old = lines(certain(0..400));
    let allowed = |new: Value| shop().validate(&Review::update(old.clone(), new)).allowed();
    assert!(!shop().validate(&Review::create(old.clone())).allowed());
    assert!(allowed(with(old.clone(), "/metadata/labels/a", json!("b"))));
    // One less, at the beginning and at the end; the other way round.
    assert!(allowed(lines(certain(1..400))));
    assert!(allowed(lines(certain(0..399))));
    assert!(allowed(lines(certain(200..400).chain(certain(0..200)))));
    // One more, at the beginning, in the middle and at the end; one instead of another; one more than are listed.
    for at in [0, 256, 300, 400] {
        assert!(!allowed(lines(certain(0..at).chain([secret(ONE)]).chain(certain(at..400)))), "{at}");
    }
    for at in [0, 256, 399] {
        assert!(!allowed(lines(certain(0..at).chain([secret(ONE)]).chain(certain(at + 1..400)))), "{at}");
    }
    let few = lines(certain(0..256));
    assert!(!shop().validate(&Review::update(few, lines(certain(0..257)))).allowed());
}

/// Where a policy refuses weak passwords, the same holds of them.
#[test]
fn many_weak_passwords_are_refused_and_ratchet() {
    let world =
        World::new(&["{kind: GuardPolicy, spec: {rules: {weak-credential: {action: Deny}}}}"]).in_namespace("shop");
    let old = lines(weak(400));
    let answer = world.validate(&Review::create(old.clone()));
    assert!(answer.message().contains("refused, 257 findings"), "{}", answer.message());
    let last = &answer.outcome.verdicts[256].finding;
    assert_eq!(last.message, "more well-known passwords than are listed: 144 besides");
    assert!(world.validate(&Review::update(old.clone(), with(old.clone(), "/data/colour", json!("red")))).allowed());
    assert!(!world.validate(&Review::update(old, lines(weak(401)))).allowed());
}

/// An Exemption for some keys covers none of those that are not listed; one for the object covers all.
#[test]
fn an_exemption_for_keys_opens_nothing_behind_them() {
    let world = |keys: &str| {
        let exemption = format!(
            "{{kind: Exemption, metadata: {{name: e}}, spec: {{owner: t, reason: r, expires: '2027-01-01', rules: [embedded-secret], match: {{namespaces: [shop]{keys}}}}}}}"
        );
        World::new(&[BUILT_IN[0], &exemption]).in_namespace("shop")
    };
    let review = Review::create(lines(certain(0..400).chain([secret(ONE)])));
    world(", keys: ['*/s*.password']").validate(&review).assert_refused(&["embedded-secret "]);
    assert!(world("").validate(&review).allowed());
}

/// What one policy does not count takes no place in the list of another.
#[test]
fn hashes_that_nobody_minds_hide_no_secret() {
    let users = (100..500).map(|n| format!("u{n}:{}", hash().replace("Zk3", &n.to_string())));
    let file = lines(users.chain([secret(ONE)]));
    World::new(&[
        "{kind: GuardPolicy, spec: {rules: {embedded-secret: {passwordHashes: true, action: Warn}}}}",
        "{kind: GuardPolicy, spec: {rules: {embedded-secret: {}}}}",
    ])
    .in_namespace("shop")
    .validate(&Review::create(file))
    .assert_refused(&["embedded-secret /data/db.password"]);
}

/// The same of an object that is not even read: not a fault, which `failurePolicy: Ignore` would let pass in silence.
#[test]
fn an_object_of_too_many_values_says_so() {
    let secret = with(good_deployment(), ENV, json!([{"name": "DB_PASSWORD", "value": ONE}]));
    let args = |count: usize| json!(vec![""; count]);
    let large = with(secret.clone(), "/spec/template/spec/containers/0/args", args(500_001));
    shop().validate(&Review::create(secret.clone())).assert_refused(&[&format!("embedded-secret {ENV}/0/value")]);
    let answer = shop().validate(&Review::create(large.clone()));
    answer.assert_warned(&["too-large-to-judge "]);
    assert_eq!(answer.warnings(), ["[too-large-to-judge] more than 500,000 values, which nothing was judged of"]);
    let strict = guard("{}, too-large-to-judge: {action: Deny}");
    strict.validate(&Review::create(large.clone())).assert_refused(&["too-large-to-judge "]);
    // What it had before nobody knows, and it has to be mended somehow.
    let answer = shop().validate(&Review::update(large.clone(), secret));
    assert!(answer.allowed() && answer.warnings()[0].contains("(it was there before)"), "{:?}", answer.warnings());
    let pod = with(scan_pod(), "/spec/containers/0/args", args(500_001));
    let answer = World::built_in().mutate(&Review::create(pod));
    assert!(answer.allowed() && answer.outcome.patch.is_empty());
}

/// Of a secret in an object that was not searched to its end nobody can say that it is new.
#[test]
fn an_old_object_beyond_the_budget_can_be_mended() {
    let text = |repeats: usize| format!("{}password={ONE}\n", "lorem ipsum dolor\n".repeat(repeats));
    let [old, new] = [500_000, 1_000].map(|repeats| with(config_map("x"), "/data/text", json!(text(repeats))));
    shop().validate(&Review::create(new.clone())).assert_refused(&["embedded-secret /data/text"]);
    let answer = shop().validate(&Review::update(old, new));
    answer.assert_warned(&["embedded-secret /data/text"]);
}

/// What is not all that could be said comes first.
#[test]
fn that_there_may_be_more_is_said_first() {
    let text = format!("{}{}", "password=changeme\n".repeat(20), "lorem ipsum dolor\n".repeat(500_000));
    let text = format!("a=1\n{text}");
    let data = with(with(config_map("x"), "/data/a", json!("x")), "/data/text", json!(text));
    let data = (0..20).fold(data, |data, index| {
        with(data, &format!("/data/PASSWORD_{index}"), json!(["changeme", "password"][index % 2]))
    });
    let answer = shop().validate(&Review::create(data));
    assert!(answer.warnings()[0].starts_with("[too-large-to-judge]"), "{:?}", answer.warnings());
}
