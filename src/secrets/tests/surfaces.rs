//! Every surface that the detector promises to read, one test each, in the notations that people use there.

use super::*;

/// The only finding, certain, at a pointer that begins so, with the secret and nothing else as its value.
fn at(object: &Json, pointer: &str, secret: &str) -> Found {
    let found = one(object);
    assert_eq!(found.certainty, Certainty::Certain, "{object}");
    assert!(found.pointer.starts_with(pointer), "{} is not {pointer}", found.pointer);
    assert!(found.value.contains(secret), "another value was found in {object}");
    found
}

const ARGS: &str = "/spec/template/spec/containers/0/args/";

fn encode(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Whether that one secret is found there, certain; for lists of cases, to see all that miss at once.
fn is_at(object: &Json, pointer: &str, secret: &str) -> bool {
    let found = found(object);
    matches!(&found[..], [one] if one.certainty == Certainty::Certain && one.pointer.starts_with(pointer) && one.value.contains(secret))
}

/// A key that only its name gives away.
fn made() -> String {
    concat!("fW4z0gcLH0HV229f", "FzNeAr4Pg68HdM97FRC6KsMz").to_owned()
}

fn script(text: &str) -> Json {
    container(json!({"command": ["/bin/sh", "-ec"], "args": [text]}))
}

#[test]
fn shell_scripts() {
    let mut missed = Vec::new();
    for text in [
        format!("cat > /etc/app.conf <<EOF\n[db]\npassword = {PASSWORD}\nEOF\nexec app"),
        format!("cat <<'EOF' | tee /etc/app.yaml\ndb:\n  password: {PASSWORD}\nEOF\n"),
        format!("export DB_PASSWORD={PASSWORD}\nexec app"),
        format!("export A=b DB_PASSWORD='{PASSWORD}' && exec app"),
        format!("DB_PASSWORD={PASSWORD} exec app"),
        format!("PGPASSWORD=\"{PASSWORD}\" psql -h db -U app -c 'select 1'"),
        format!("psql postgres://app:{PASSWORD}@db:5432/app -c 'select 1'"),
        format!("psql \"postgresql://app:{PASSWORD}@db/app?sslmode=require\""),
        format!("psql \"host=db user=app password={PASSWORD}\""),
        format!("curl -u admin:{PASSWORD} https://nexus/x"),
        format!("curl -sSf --user 'admin:{PASSWORD}' https://nexus/x"),
        format!("curl -H \"Authorization: Basic {}\" https://api", encode(&format!("admin:{PASSWORD}"))),
        format!("curl -H 'Authorization: Bearer {}' https://api", made()),
        format!("curl -H 'X-Api-Key: {}' https://api", made()),
        format!("curl --header \"PRIVATE-TOKEN: {}\" https://gitlab/api", made()),
        format!("wget --header='Authorization: token {}' https://api", made()),
        format!("wget --user=ci --password={PASSWORD} https://nexus/x"),
        format!("docker login -u ci -p {PASSWORD} registry.corp"),
        format!("docker login -u ci --password {PASSWORD} registry.corp"),
        format!("helm registry login -u ci -p '{PASSWORD}' registry.corp"),
        format!("aws configure set aws_secret_access_key {}", made()),
        format!("aws configure set profile.ci.aws_secret_access_key {}", made()),
        format!("mysql -uroot -p{PASSWORD} -e 'select 1'"),
        format!("mysql -u root --password={PASSWORD} -e 'select 1'"),
        format!("mysqldump -h db -uroot -p'{PASSWORD}' app > /dump.sql"),
        format!("until mysqladmin ping -uroot -p{PASSWORD}; do sleep 1; done"),
        format!("redis-cli -h cache -a {PASSWORD} ping"),
        format!("mongosh -u root -p {PASSWORD} --eval 'db.stats()'"),
        format!("mongosh \"mongodb://root:{PASSWORD}@db:27017/admin\""),
        format!("sshpass -p {PASSWORD} scp x ci@host:"),
        format!("echo 'root:{PASSWORD}' | chpasswd"),
        format!("git clone https://ci:{PASSWORD}@git.corp/x.git"),
        format!("kubectl create secret generic db --from-literal=password={PASSWORD}"),
        format!("ldapsearch -x -D cn=admin -w {PASSWORD} -b dc=corp"),
        format!("sqlcmd -S db -U sa -P {PASSWORD} -Q 'select 1'"),
        format!("vault login {}", made()),
        format!("echo \"machine git.corp login ci password {PASSWORD}\" > ~/.netrc"),
    ] {
        let secret = if text.contains(PASSWORD) {
            PASSWORD.to_owned()
        } else if text.contains("Basic") {
            encode(&format!("admin:{PASSWORD}"))
        } else {
            made()
        };
        if !is_at(&script(&text), &format!("{ARGS}0"), &secret) {
            missed.push(text);
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn lists_of_words() {
    for (words, index) in [
        (vec!["curl".into(), "-u".into(), format!("admin:{PASSWORD}"), "https://x".into()], 2),
        (vec!["curl".into(), "-H".into(), format!("Authorization: Bearer {}", made()), "https://x".into()], 2),
        (vec!["mysqladmin".into(), "ping".into(), format!("-p{PASSWORD}")], 2),
        (vec!["redis-cli".into(), "-a".into(), PASSWORD.into(), "ping".into()], 2),
        (vec!["psql".into(), format!("postgres://app:{PASSWORD}@db/app")], 1),
        (vec!["docker".into(), "login".into(), "-u".into(), "ci".into(), "-p".into(), PASSWORD.into()], 5),
        (vec!["app".into(), format!("--db-password={PASSWORD}")], 1),
        (vec!["app".into(), "--db-password".into(), PASSWORD.into()], 2),
        (vec!["app".into(), format!("-Dspring.datasource.password={PASSWORD}")], 1),
        (vec!["app".into(), "--set".into(), format!("auth.rootPassword={PASSWORD}")], 2),
        (vec!["env".into(), format!("DB_PASSWORD={PASSWORD}"), "app".into()], 1),
    ] {
        let secret = if words.iter().any(|word| word.contains(PASSWORD)) { PASSWORD.to_owned() } else { made() };
        at(&container(json!({"args": words})), &format!("{ARGS}{index}"), &secret);
    }
}

#[test]
fn probes_and_hooks() {
    let here = "/spec/template/spec/containers/0/";
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let exec =
            container(json!({probe: {"exec": {"command": ["sh", "-c", format!("mysqladmin ping -p{PASSWORD}")]}}}));
        assert_eq!(at(&exec, &format!("{here}{probe}/exec/command/2"), PASSWORD).surface, Surface::Probe);
        let list = container(json!({probe: {"exec": {"command": ["redis-cli", "-a", PASSWORD, "ping"]}}}));
        at(&list, &format!("{here}{probe}/exec/command/2"), PASSWORD);
        let basic = encode(&format!("admin:{PASSWORD}"));
        let headers =
            json!([{"name": "Accept", "value": "*/*"}, {"name": "Authorization", "value": format!("Basic {basic}")}]);
        let http = container(json!({probe: {"httpGet": {"path": "/x", "port": 80, "httpHeaders": headers}}}));
        at(&http, &format!("{here}{probe}/httpGet/httpHeaders/1/value"), &basic);
        let path = container(json!({probe: {"httpGet": {"path": format!("/x?a=b&token={}", made()), "port": 80}}}));
        at(&path, &format!("{here}{probe}/httpGet/path"), &made());
    }
    for hook in ["postStart", "preStop"] {
        let command = json!(["sh", "-c", format!("curl -u admin:{PASSWORD} http://x")]);
        let exec = container(json!({"lifecycle": {hook: {"exec": {"command": command}}}}));
        assert_eq!(at(&exec, &format!("{here}lifecycle/{hook}/exec/command/2"), PASSWORD).surface, Surface::Lifecycle);
        let header = json!([{"name": "X-Api-Key", "value": made()}]);
        let http = container(json!({"lifecycle": {hook: {"httpGet": {"port": 80, "httpHeaders": header}}}}));
        at(&http, &format!("{here}lifecycle/{hook}/httpGet/httpHeaders/0/value"), &made());
    }
}

/// Files as people write them, each with one secret in it.
fn files() -> Vec<(&'static str, String, String)> {
    let password = |text: String| (text, PASSWORD.to_owned());
    let key = |text: String| (text, made());
    let auth = encode(&format!("ci:{PASSWORD}"));
    let client_key = encode(&pem("RSA PRIVATE KEY"));
    let files = vec![
        ("app.properties", password(format!("# database\ndb.url=jdbc:x\ndb.password={PASSWORD}\n"))),
        ("spaced.properties", password(format!("db.user = app\ndb.password : {PASSWORD}\n"))),
        ("my.ini", password(format!("[client]\nuser = root\npassword = {PASSWORD}\n"))),
        ("app.toml", password(format!("[database]\nuser = \"app\"\npassword = \"{PASSWORD}\"\n"))),
        ("inline.toml", password(format!("db = {{ user = \"app\", password = \"{PASSWORD}\" }}\n"))),
        ("app.json", password(json!({"db": {"user": "app", "password": PASSWORD}}).to_string())),
        ("pretty.json", password(format!("{{\n  \"db\": {{\n    \"password\": \"{PASSWORD}\"\n  }}\n}}\n"))),
        ("app.yaml", password(format!("db:\n  user: app\n  password: \"{PASSWORD}\"\n"))),
        ("flow.yaml", password(format!("db: {{user: app, password: {PASSWORD}}}\n"))),
        ("web.xml", password(format!("<db>\n  <user>app</user>\n  <password>{PASSWORD}</password>\n</db>\n"))),
        ("context.xml", password(format!("<Resource name=\"jdbc/app\" username=\"app\" password=\"{PASSWORD}\"/>\n"))),
        (
            "site.xml",
            password(format!("<property>\n<name>db.password</name>\n<value>{PASSWORD}</value>\n</property>\n")),
        ),
        (".env", password(format!("A=b\nDB_PASSWORD={PASSWORD}\n"))),
        ("quoted.env", password(format!("export DB_PASSWORD='{PASSWORD}'\n"))),
        (".npmrc", key(format!("registry=https://npm.corp/\n//npm.corp/:_authToken={}\n", made()))),
        ("auth.npmrc", (format!("//npm.corp/:_auth={auth}\n"), auth.clone())),
        (".netrc", password(format!("machine git.corp\n  login ci\n  password {PASSWORD}\n"))),
        (".pgpass", password(format!("# host\ndb:5432:*:app:{PASSWORD}\n"))),
        (
            "kubeconfig",
            key(format!("apiVersion: v1\nkind: Config\nusers:\n- name: ci\n  user:\n    token: {}\n", made())),
        ),
        (
            "config",
            (format!("users:\n- name: ci\n  user:\n    client-key-data: {client_key}\n"), client_key[..40].to_owned()),
        ),
        ("config.json", (json!({"auths": {"r.corp": {"auth": auth}}}).to_string(), auth.clone())),
        (
            ".dockerconfigjson",
            password(json!({"auths": {"r.corp": {"username": "ci", "password": PASSWORD}}}).to_string()),
        ),
        ("credentials", key(format!("[default]\nregion = eu-west-1\naws_secret_access_key = {}\n", made()))),
        ("application.yml", password(format!("spring:\n  datasource:\n    username: app\n    password: {PASSWORD}\n"))),
        ("terraform.tfvars", password(format!("region = \"eu\"\ndb_password = \"{PASSWORD}\"\n"))),
        ("main.tf", password(format!("variable \"db_password\" {{\n  default = \"{PASSWORD}\"\n}}\n"))),
        ("redis.conf", password(format!("port 6379\nrequirepass {PASSWORD}\n"))),
        ("init.sql", password(format!("CREATE USER 'app' IDENTIFIED BY '{PASSWORD}';\n"))),
        ("nginx.conf", key(format!("proxy_set_header Authorization \"Bearer {}\";\n", made()))),
        ("start.sh", password(format!("#!/bin/sh\nmysql -uroot -p{PASSWORD} </init.sql\n"))),
        ("dsn", password(format!("app:{PASSWORD}@tcp(db:3306)/app?parseTime=true"))),
        ("web.config", password(format!("<add connectionString=\"Server=db;User Id=sa;Password={PASSWORD};\" />"))),
        ("tls.key", (pem("PRIVATE KEY"), "-----BEGIN".to_owned())),
    ];
    files.into_iter().map(|(name, (text, secret))| (name, text, secret)).collect()
}

#[test]
fn files_in_a_config_map() {
    let missed: Vec<_> = files()
        .into_iter()
        .filter(|(name, text, secret)| !is_at(&config(name, text), &format!("/data/{name}"), secret))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn the_same_files_as_binary_data() {
    let object = |name: &str, text: &str| json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "binaryData": {name: encode(text)}});
    let missed: Vec<_> = files()
        .into_iter()
        .filter(|(name, text, secret)| !is_at(&object(name, text), &format!("/binaryData/{name}"), secret))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    let archive = json!({"kind": "ConfigMap", "binaryData": {"x.jks": encode("\u{0}\u{1}\u{2}password=")}});
    assert!(found(&archive).is_empty());
}

#[test]
fn annotations_and_labels() {
    let of = |field: &str, key: &str, value: &str| json!({"kind": "Pod", "metadata": {field: {key: value}}});
    at(&of("annotations", "example.com/db-password", PASSWORD), "/metadata/annotations/", PASSWORD);
    at(
        &of("annotations", "example.com/config", &json!({"password": PASSWORD}).to_string()),
        "/metadata/annotations/",
        PASSWORD,
    );
    at(
        &of("annotations", "example.com/url", &format!("redis://:{PASSWORD}@cache:6379/0")),
        "/metadata/annotations/",
        PASSWORD,
    );
    at(&of("annotations", "example.com/api-token", &made()), "/metadata/annotations/", &made());
    at(&of("labels", "api-token", &made()), "/metadata/labels/", &made());
    let template = container(json!({}));
    let mut template = template;
    template["spec"]["template"]["metadata"] = json!({"annotations": {"example.com/note": github()}});
    at(&template, "/spec/template/metadata/annotations/", &github());
}

#[test]
fn image_references() {
    at(
        &container(json!({"image": format!("https://ci:{PASSWORD}@registry.corp/app:1")})),
        "/spec/template/spec/containers/0/image",
        PASSWORD,
    );
    at(
        &container(json!({"image": format!("oauth2accesstoken:{}@registry.corp/app:1", github())})),
        "/spec/template/spec/containers/0/image",
        &github(),
    );
    let digest = "registry.corp/app@sha256:d3a7d82f5af17e6ed9b1492159545e1427f549fa1a3de99711c957f51afbc358";
    assert!(found(&container(json!({"image": digest}))).is_empty());
}

#[test]
fn volumes_and_storage() {
    let volume =
        |source: Json| json!({"kind": "Pod", "spec": {"volumes": [{"name": "v"}, {"name": "w", "csi": source}]}});
    at(
        &volume(json!({"driver": "smb", "volumeAttributes": {"username": "u", "password": PASSWORD}})),
        "/spec/volumes/1/csi/volumeAttributes/password",
        PASSWORD,
    );
    at(
        &volume(json!({"driver": "s3", "volumeAttributes": {"secretAccessKey": made()}})),
        "/spec/volumes/1/csi/volumeAttributes/",
        &made(),
    );
    let flex = json!({"kind": "Pod", "spec": {"volumes": [{"name": "v", "flexVolume": {"driver": "cifs", "options": {"mountOptions": format!("username=u,password={PASSWORD},vers=3.0")}}}]}});
    at(&flex, "/spec/volumes/0/flexVolume/options/mountOptions", PASSWORD);
    let persistent = json!({"kind": "PersistentVolume", "spec": {"csi": {"driver": "s3", "volumeAttributes": {"secretAccessKey": made()}}}});
    at(&persistent, "/spec/csi/volumeAttributes/secretAccessKey", &made());
    let options =
        json!({"kind": "PersistentVolume", "spec": {"mountOptions": [format!("password={PASSWORD}"), "vers=3.0"]}});
    at(&options, "/spec/mountOptions/0", PASSWORD);
    let class = json!({"kind": "StorageClass", "provisioner": "glusterfs", "parameters": {"restuser": "admin", "restuserkey": made()}});
    at(&class, "/parameters/restuserkey", &made());
}

#[test]
fn any_scalar_of_any_kind() {
    let custom = json!({"apiVersion": "x.io/v1", "kind": "Thing", "spec": {"a": [{"b": {"dbPassword": PASSWORD}}]}});
    at(&custom, "/spec/a/0/b/dbPassword", PASSWORD);
    at(
        &json!({"apiVersion": "x.io/v1", "kind": "Thing", "spec": {"note": format!("see {}", github())}}),
        "/spec/note",
        &github(),
    );
    let number = json!({"apiVersion": "x.io/v1", "kind": "Thing", "spec": {"password": 918_273_645_501_i64}});
    assert_eq!(one(&number).pointer, "/spec/password");
    let connector =
        json!({"kind": "KafkaConnector", "spec": {"config": {"database.password": PASSWORD, "tasks.max": 1}}});
    at(&connector, "/spec/config/database.password", PASSWORD);
    let component = json!({"kind": "Component", "spec": {"metadata": [{"name": "redisPassword", "value": PASSWORD}]}});
    at(&component, "/spec/metadata/0/value", PASSWORD);
    let release = json!({"kind": "HelmRelease", "spec": {"values": {"auth": {"rootPassword": PASSWORD}}}});
    at(&release, "/spec/values/auth/rootPassword", PASSWORD);
    let application = json!({"kind": "Application", "spec": {"source": {"helm": {"parameters": [{"name": "auth.password", "value": PASSWORD}], "values": format!("auth:\n  password: {PASSWORD}\n")}}}});
    assert_eq!(found(&application).len(), 2);
}

#[test]
fn long_lists_are_read_item_by_item() {
    let plain = |count: usize| (0..count).map(|n| json!({"name": format!("SETTING_{n}"), "value": "some words of it"}));
    for count in [7, 8, 9, 16, 20] {
        for place in 0..count {
            let by_value = json!({"name": "SETTING", "value": format!("see {}", github())});
            let by_name = json!({"name": "DB_PASSWORD", "value": PASSWORD});
            let nested = json!({"inner": [{"deeper": github()}]});
            for (secret, below) in [(by_value, "/value"), (by_name, "/value"), (nested, "/inner/0/deeper")] {
                let mut items: Vec<Json> = plain(count).collect();
                items[place] = secret;
                let pointer = format!("/spec/items/{place}{below}");
                let custom = json!({"apiVersion": "x.io/v1", "kind": "Thing", "spec": {"items": items}});
                assert_eq!(one(&custom).pointer, pointer, "of {count}");
            }
            let mut words = vec![json!("some words of it"); count];
            words[place] = json!(github());
            let custom = json!({"apiVersion": "x.io/v1", "kind": "Thing", "spec": {"notes": words}});
            assert_eq!(one(&custom).pointer, format!("/spec/notes/{place}"), "of {count}");
        }
    }
}

#[test]
fn a_name_and_a_value_beside_a_kind() {
    let with = |kind: &str| {
        let item = json!({"apiVersion": "x.io/v1", "kind": kind, "name": "DB_PASSWORD", "value": PASSWORD});
        json!({"apiVersion": "x.io/v1", "kind": "Thing", "spec": {"items": [item]}})
    };
    assert_eq!(one(&with("Parameter")).pointer, "/spec/items/0/value");
    assert!(found(&with("SealedSecret")).is_empty());
}
