//! What is nearly a secret: cut off, edited by hand, counted up, of another form than its issuer's. It is warned of at most.

use super::*;

fn certainty(object: &Json) -> Option<Certainty> {
    let found = found(object);
    assert!(found.len() <= 1, "{found:?}");
    found.first().map(|found| found.certainty)
}

fn refused(object: &Json) -> bool {
    certainty(object) == Some(Certainty::Certain)
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

const BODY: &str = "Zk3pQ9xL0vRt7WmY2nBc8HdS5jGfA1eUq4oXiT6wKsDyCgMb9rNzVh3EaFu0LpJ7";

/// Elastic Cloud's keys end in a checksum of eight bytes; without it the API would not know one.
#[test]
fn a_piece_of_a_token_is_only_warned_of() {
    let key = encode(b"RkAlnZsBUa2eQ7t4WO5c:rvn_TkqQoG7nx3dfQsGcNw");
    let token = |bytes: &[u8]| format!("{}{}", concat!("es", "su_"), encode(bytes));
    assert!(refused(&env("SETTING", &token(&[key.as_bytes(), &[0, 0, 0, 0, 0xDC, 0x79, 0x66, 0xCE]].concat()))));
    assert_eq!(certainty(&env("SETTING", &token(key.as_bytes()))), Some(Certainty::Weak));
}

/// 32 bytes of a signature are 43 characters, of which the last stands for four bits: `E` can end it, `F` cannot.
#[test]
fn an_edited_signature_is_only_warned_of() {
    let token = |last: &str| {
        let header = encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = encode(br#"{"sub":"a:b","iss":"k8s"}"#);
        format!("{}.{}.{}{last}", header.trim_end_matches('='), claims.trim_end_matches('='), &BODY[..42])
    };
    assert!(refused(&env("SETTING", &token("E"))));
    assert_eq!(certainty(&env("SETTING", &token("F"))), Some(Certainty::Weak));
}

#[test]
fn what_counts_or_repeats_is_no_token() {
    let runner = concat!("GR13", "48941");
    assert!(refused(&env("SETTING", &format!("{runner}{}", &BODY[..20]))));
    assert_eq!(certainty(&env("SETTING", &format!("{runner}{}12", "123".repeat(6)))), None);
    let atlas = concat!("mdb_sa", "_sk_");
    assert!(refused(&env("SETTING", &format!("{atlas}{}", &BODY[..40]))));
    assert_eq!(certainty(&env("SETTING", &format!("{atlas}{}", "1234567890".repeat(4)))), None);
}

/// The alphabet, its letters with figures in between, masks: no issuer's generator made them. Half as much may be chance, and is refused.
#[test]
fn what_nobody_generated_is_no_token() {
    let alphabet = "abcdefghijklmnopqrstuvwxyz";
    let gitlab = |body: &str| format!("{}{body}", concat!("glp", "at-"));
    let long = |middle: &str| format!("{}{middle}{}", &BODY[..4], &BODY[4..20 - middle.len()]);
    assert!(refused(&env("SETTING", &gitlab(&long(&alphabet[..6])))));
    assert_eq!(certainty(&env("SETTING", &gitlab(&long(&alphabet[..12])))), None);
    let runpod = |body: &str| format!("{}{body}", concat!("rp", "a_"));
    let woven = "ABC12DEF34GHI56JKL78MNO90PQR12STU34VWX56Y78Z9";
    assert!(refused(&env("SETTING", &runpod(&format!("{BODY}{BODY}")[..45]))));
    assert_eq!(certainty(&env("SETTING", &runpod(woven))), None);
    let sendgrid = |first: &str| format!("{}{first}.{}", concat!("S", "G."), &BODY[..43]);
    assert!(refused(&env("SETTING", &sendgrid(&BODY[20..42]))));
    assert_eq!(certainty(&env("SETTING", &sendgrid(&"8".repeat(22)))), None);
    let bare = |body: &str| format!("{}{body}", concat!("s", "k-"));
    assert!(refused(&env("SETTING", &bare(&BODY[..48]))));
    assert_eq!(certainty(&env("SETTING", &bare(&format!("{}{}{}", &BODY[..20], &alphabet[..8], &BODY[20..40])))), None);
}

/// A signature over something that names nobody and no time is no credential.
#[test]
fn a_web_token_about_nobody_is_only_warned_of() {
    let token = |claims: &str| {
        let (header, claims) = (encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.as_bytes()));
        format!("{}.{}.{}E", header.trim_end_matches('='), claims.trim_end_matches('='), &BODY[..42])
    };
    for claims in [r#"{"sub":"a"}"#, r#"{"userId":7}"#, r#"{"confidence":0.8,"exp":1}"#] {
        assert!(refused(&env("SETTING", &token(claims))), "{claims}");
    }
    assert_eq!(certainty(&env("SETTING", &token(r#"{"confidence":0.8}"#))), Some(Certainty::Weak));
    assert!(
        refused(&env("SETTING", &token(&format!(r#"{{"confidence":"{}"}}"#, "9".repeat(400))))),
        "too long to say nothing"
    );
}

/// Two counts that take turns: in a file it is somebody's sample, in a field it is what runs.
#[test]
fn counts_that_take_turns_are_a_sample_in_a_file() {
    let sample = concat!("a1B2c3D4e5F6", "g7H8i9J0k1L2");
    assert_eq!(certainty(&config("f", &format!("CLIENT_SECRET={sample}\n"))), Some(Certainty::Weak));
    assert!(refused(&env("CLIENT_SECRET", sample)));
    assert!(refused(&config("f", &format!("CLIENT_SECRET={}\n", &BODY[..24]))));
}

/// `test_` begins a key of Mollie's, `task_test_` a name of somebody's.
#[test]
fn a_common_word_within_a_name_begins_no_token() {
    let body = "hpom9c7ed9tk3bezxscp24zk95uqy8";
    assert!(refused(&env("SETTING", &format!("{}{body}", concat!("te", "st_")))));
    assert_eq!(certainty(&env("SETTING", &format!("{}{body}", concat!("task_te", "st_")))), None);
}

#[test]
fn the_form_decides() {
    let server = concat!("gh", "s_");
    let openai = |before: usize, after: usize| {
        format!("{}{}{}{}", concat!("sk", "-proj-"), &BODY[..before], concat!("T3Blb", "kFJ"), &BODY[64 - after..])
    };
    let slack =
        |last: &str| format!("{}-1-A09GDGLM2BE-9538001315143-{}{last}", concat!("xa", "pp"), "31fd9c18d0c".repeat(5));
    let agent = |length: usize| format!("{}{}", concat!("bk", "aa_"), &format!("{BODY}{BODY}")[..length]);
    for (whole, near) in [
        (format!("{server}{}", &BODY[..36]), format!("{server}{}-{}", &BODY[..17], &BODY[18..36])),
        (openai(20, 20), openai(20, 31)),
        (slack("31fd9c18a"), slack("31fd9c18g")),
        (agent(75), agent(74)),
    ] {
        assert!(refused(&env("SETTING", &whole)), "{}", &whole[..5]);
        assert_eq!(certainty(&env("SETTING", &near)), None, "{}", &near[..5]);
    }
}

/// A key that names its issuer calls for the form of its issuer's keys.
#[test]
fn another_form_than_the_issuers_is_only_warned_of() {
    let hex = "8c5a7657fc397e114def1b51dd520410ad50ece61e30b64261ff369ab275ef29";
    for (name, fits, near) in [
        ("CURSOR_KEY", format!("{}{hex}", concat!("ke", "y_")), format!("{}{}", concat!("ke", "y_"), &hex[..31])),
        ("ITERABLE_API_KEY", hex[..32].to_owned(), hex[..16].to_owned()),
        ("STRIPE_CLIENT_SECRET", format!("{}{}", concat!("wh", "sec_"), &BODY[..32]), hex[..32].to_owned()),
        ("AWS_SECRET_KEY", BODY[..40].to_owned(), BODY[..38].to_owned()),
        ("AWS_SECRET_KEY", BODY[..24].to_owned(), BODY[..39].to_owned()),
        ("NPM_TOKEN", BODY[..40].to_owned(), concat!("60e62a63-b257", "-4c01-ad19-6cc53c664ce4").to_owned()),
        (
            "CONFIGCAT_SDK_KEY",
            format!("{}/{}", &BODY[..22], &BODY[22..44]),
            format!("{}/{}", &BODY[..12], &BODY[22..44]),
        ),
        (
            "HUGGINGFACE_TOKEN",
            format!("{}{}", concat!("h", "f_"), "QwErTyUiOpAsDfGhJkLzXcVbNmQaZwSxEd"),
            BODY[..30].to_owned(),
        ),
    ] {
        for object in [
            |name: &str, value: &str| env(name, value),
            |name: &str, value: &str| config("f", &format!("{name}={value}\n")),
        ] {
            assert!(refused(&object(name, &fits)), "{name}");
            assert_eq!(certainty(&object(name, &near)), Some(Certainty::Weak), "{name}");
        }
    }
}

#[test]
fn a_uuid_that_lost_digits_is_only_warned_of() {
    let uuid = |tail: &str| format!("{}-{}-49d0-b68f-{tail}", concat!("sk_0b9b", "5db6"), "fabc");
    assert_eq!(certainty(&env("SHOP_SECRET_KEY", &uuid("13343bb4f70"))), Some(Certainty::Weak));
    assert!(refused(&env("SHOP_SECRET_KEY", &uuid("13343bb4f70e"))));
    assert!(refused(&env("SHOP_SECRET_KEY", &uuid("13343bb4"))), "some issuers' last group");
}

/// Any entry of the table: what begins as its issuer's and does not go on so, where the name says whose it is.
#[test]
fn a_piece_of_the_named_issuers_token_is_only_warned_of() {
    for (name, prefix, whole) in [
        ("DATABRICKS_TOKEN", concat!("da", "pi"), 32),
        ("ELEVENLABS_API_KEY", concat!("s", "k_"), 48),
        ("GITLAB_RUNNER_TOKEN", concat!("GR13", "48941"), 20),
        ("GOOGLE_API_KEY", concat!("AI", "za"), 35),
    ] {
        let hex = "8c5a7657fc397e114def1b51dd520410ad50ece61e30b642";
        assert!(refused(&env(name, &format!("{prefix}{}", &hex[..whole]))), "{name}");
        assert_eq!(certainty(&env(name, &format!("{prefix}{}", &hex[..whole - 1]))), Some(Certainty::Weak), "{name}");
        assert!(refused(&env("SHOP_TOKEN", &format!("s{}", &hex[..whole - 1]))), "a prefix of nobody's");
    }
}

#[test]
fn what_is_put_in_later_is_no_secret() {
    for value in [
        "!Ref DbPassword1",
        "!vault |",
        "var.db_password2",
        "config.smtp.password1",
        "apiKeyFromConfig1",
        "os.getenv(\"DB_PASSWORD_1\")",
        "new Password1()",
    ] {
        for name in ["API_KEY", "DB_PASSWORD"] {
            // A name in camel case may be a password; it is none of a machine's.
            if name == "DB_PASSWORD" && value.starts_with("api") {
                continue;
            }
            assert_eq!(certainty(&env(name, value)), None, "{name}={value}");
            assert_eq!(certainty(&config("f", &format!("{name}: {value}\n"))), None, "{name}: {value}");
        }
    }
    assert!(refused(&env("DB_PASSWORD", "vary.Kx9(2)w")), "nothing that a program says");
}

#[test]
fn a_value_that_calls_itself_a_sample_is_only_warned_of() {
    for value in [concat!("fake_api_", "key_1a2b3c4d"), concat!("test-token", "-abc123xyz9")] {
        assert_eq!(certainty(&env("API_KEY", value)), Some(Certainty::Weak), "{value}");
    }
    assert!(refused(&env("API_KEY", &format!("test-{}", &BODY[..24]))));
}

/// A key of a key management service never leaves it; what is written down is its id.
#[test]
fn the_id_of_a_managed_key_is_no_secret() {
    let id = concat!("60e62a63-b257", "-4c01-ad19-6cc53c664ce4");
    assert_eq!(certainty(&env("KMS_KEY", id)), None);
    assert!(refused(&env("SIGNING_KEY", id)));
}

// === what is one, and was taken for less ===

#[test]
fn padding_is_no_program_text() {
    assert!(refused(&config("f", &format!("API_TOKEN={}==\n", &BODY[..62]))));
    assert_eq!(certainty(&config("f", &format!("API_TOKEN={}=={}\n", &BODY[..20], &BODY[20..40]))), None);
}

#[test]
fn names_and_values_as_arguments() {
    for line in [
        format!("define( 'DB_PASSWORD', '{PASSWORD}' );"),
        format!("define(\"DB_PASSWORD\",\"{PASSWORD}\");"),
        format!("System.setProperty(\"db.password\", \"{PASSWORD}\")"),
    ] {
        assert!(refused(&config("wp-config.php", &format!("<?php\n{line}\n"))), "{line}");
    }
    for line in
        ["define('DB_PASSWORD', getenv('X'));", "in_array('password', 'Wq7!kd')", "f('password', 'a' . 'Wq7!kd9')"]
    {
        assert_eq!(certainty(&config("wp-config.php", line)), None, "{line}");
    }
}

#[test]
fn formats_with_more_than_a_prefix() {
    let keyset = format!(
        r#"{{"key":[{{"keyData":{{"typeUrl":"type.googleapis.com/{}","value":"{}","keyMaterialType":"{{}}"}}}}]}}"#,
        concat!("google.crypto", ".tink.AesGcmKey"),
        &BODY[..24]
    );
    let binary = |kind: &str| {
        let url = format!("\x0A\x36type.googleapis.com/{}{kind}\x12\x20", concat!("google.crypto", ".tink.Ecdsa"));
        encode(&[&b"\x08\xC2\xA0\xD5\xE8\x01\x12\xED\x01\x0A\xE0\x01"[..], url.as_bytes(), BODY.as_bytes()].concat())
    };
    for (secret, other) in [
        (keyset.replace("{}", "SYMMETRIC"), keyset.replace("{}", "ASYMMETRIC_PUBLIC")),
        (binary("PrivateKey"), binary("PublicKey")),
        (
            format!("{}-{}", concat!("HR", "KU"), "f1274537-88fb-4eaf-beda-453bd9a496ef"),
            format!("{}-f1274537", concat!("HR", "KU")),
        ),
        (
            format!("{}{}", concat!("1P", "RK"), "-K7QX".repeat(13)),
            format!("{}{}", concat!("1P", "RK"), "-K7QX".repeat(12)),
        ),
    ] {
        assert!(refused(&config("f", &secret)), "{}", &secret[..8]);
        assert_eq!(certainty(&config("f", &other)), None, "{}", &other[..8]);
    }
}

#[test]
fn names_with_blanks() {
    for line in ["Private Key: ", "Vapid Private Key: ", "  unseal key: "] {
        assert!(refused(&config("f", &format!("{line}{}\n", &BODY[..43]))), "{line}");
    }
    for line in ["Not Vapid Private Key: ", "Public Key: ", "the key: "] {
        assert_eq!(certainty(&config("f", &format!("{line}{}\n", &BODY[..43]))), None, "{line}");
    }
}

#[test]
fn keys_that_have_no_prefix() {
    let hex = "8c5a7657fc397e114def1b51dd520410ad50ece61e30b642";
    assert!(refused(&env("SETTING", &format!("{}-{}-{}", &hex[..32], &hex[32..40], &hex[40..]))));
    assert_eq!(certainty(&env("SETTING", &format!("{}-{}-{}", &hex[..32], &hex[32..40], &hex[41..]))), None);
    assert!(refused(&config("f", &format!("sonar-scanner -Dsonar.login={}\n", &hex[..40]))));
    assert_eq!(certainty(&config("f", &format!("-Dsonar.projectKey={}\n", &hex[..40]))), None);
}
