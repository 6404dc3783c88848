//! Makes values that are secrets, by the formats that issuers document and by how people and programs make passwords.

use base64::Engine as _;

/// Numbers from a seed: splitmix64.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub fn run(&mut self, letters: Letters, length: usize) -> String {
        let of = letters.all().as_bytes();
        (0..length).map(|_| char::from(self.pick(of))).collect()
    }
}

/// What a part of a token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    Mixed,
    Hex,
    Upper,
    Base32,
    Base64,
    Alphabet,
    Digits,
}

impl Letters {
    fn all(self) -> &'static str {
        match self {
            Letters::Mixed => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Letters::Hex => "0123456789abcdef",
            Letters::Upper => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            Letters::Base32 => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            Letters::Base64 => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            Letters::Alphabet => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Letters::Digits => "0123456789",
        }
    }
}

use Letters::{Alphabet, Base32, Base64, Digits, Hex, Mixed, Upper};

/// A part of a token.
#[derive(Clone, Copy, Debug)]
enum Part {
    Text(&'static str),
    Run(Letters, usize),
    /// Six digits to the base 62: the CRC-32 of the run before (GitHub, npm).
    Crc62,
    /// Eight hex digits, the lowest byte first: the CRC-32 of all before the underscore (Grafana).
    CrcHex,
}

use Part::{Crc62, CrcHex, Run, Text};

/// A format as its issuer documents it. Prefixes are put together, so that no scanner stops at this file.
pub struct Format {
    pub name: &'static str,
    parts: &'static [Part],
}

const fn format(name: &'static str, parts: &'static [Part]) -> Format {
    Format { name, parts }
}

pub const FORMATS: &[Format] = &[
    format("github-classic", &[Text(concat!("gh", "p_")), Run(Mixed, 30), Crc62]),
    format("github-oauth", &[Text(concat!("gh", "o_")), Run(Mixed, 30), Crc62]),
    format("github-server", &[Text(concat!("gh", "s_")), Run(Mixed, 30), Crc62]),
    format("github-fine", &[Text(concat!("github", "_pat_")), Run(Mixed, 22), Text("_"), Run(Mixed, 59)]),
    format("gitlab", &[Text(concat!("gl", "pat-")), Run(Mixed, 20)]),
    format(
        "slack-bot",
        &[Text(concat!("xo", "xb-")), Run(Digits, 12), Text("-"), Run(Digits, 13), Text("-"), Run(Mixed, 24)],
    ),
    format(
        "slack-webhook",
        &[
            Text(concat!("https://hooks.", "slack.com/services/T")),
            Run(Upper, 8),
            Text("/B"),
            Run(Upper, 8),
            Text("/"),
            Run(Mixed, 24),
        ],
    ),
    format("stripe", &[Text(concat!("sk_", "live_")), Run(Mixed, 24)]),
    format("stripe-restricted", &[Text(concat!("rk_", "live_")), Run(Mixed, 24)]),
    format("sendgrid", &[Text(concat!("S", "G.")), Run(Mixed, 22), Text("."), Run(Mixed, 43)]),
    format("google-api", &[Text(concat!("AI", "za")), Run(Mixed, 35)]),
    format("google-oauth", &[Text(concat!("GOC", "SPX-")), Run(Mixed, 28)]),
    format("aws-access-key", &[Text(concat!("AK", "IA")), Run(Base32, 16)]),
    format("digitalocean", &[Text(concat!("dop", "_v1_")), Run(Hex, 64)]),
    format("npm", &[Text(concat!("np", "m_")), Run(Mixed, 30), Crc62]),
    format("rubygems", &[Text(concat!("ruby", "gems_")), Run(Hex, 48)]),
    format("docker", &[Text(concat!("dckr", "_pat_")), Run(Mixed, 27)]),
    format("openai", &[Text(concat!("s", "k-")), Run(Mixed, 20), Text(concat!("T3Blbk", "FJ")), Run(Mixed, 20)]),
    format("anthropic", &[Text(concat!("sk-", "ant-api03-")), Run(Mixed, 93), Text("AA")]),
    format("hugging-face", &[Text(concat!("h", "f_")), Run(Alphabet, 34)]),
    format("groq", &[Text(concat!("gs", "k_")), Run(Mixed, 52)]),
    format("grafana", &[Text(concat!("gl", "sa_")), Run(Mixed, 32), Text("_"), CrcHex]),
    format("new-relic", &[Text(concat!("NR", "AK-")), Run(Upper, 27)]),
    format("notion", &[Text(concat!("nt", "n_")), Run(Digits, 11), Run(Mixed, 35)]),
    format("linear", &[Text(concat!("lin_", "api_")), Run(Mixed, 40)]),
    format("airtable", &[Text(concat!("p", "at")), Run(Mixed, 14), Text("."), Run(Hex, 64)]),
    format("postman", &[Text(concat!("PM", "AK-")), Run(Hex, 24), Text("-"), Run(Hex, 34)]),
    format("shopify", &[Text(concat!("shp", "at_")), Run(Hex, 32)]),
    format("vault", &[Text(concat!("hv", "s.")), Run(Mixed, 95)]),
    format("doppler", &[Text(concat!("dp.", "pt.")), Run(Mixed, 43)]),
    format("databricks", &[Text(concat!("da", "pi")), Run(Hex, 32)]),
    format("telegram", &[Run(Digits, 10), Text(concat!(":A", "A")), Run(Mixed, 33)]),
    format("planetscale", &[Text(concat!("pscale", "_tkn_")), Run(Mixed, 43)]),
    format("supabase", &[Text(concat!("sb", "p_")), Run(Hex, 40)]),
    format("pulumi", &[Text(concat!("pu", "l-")), Run(Hex, 40)]),
    format(
        "azure-storage",
        &[
            Text(concat!("DefaultEndpointsProtocol=https;AccountName=shop;Account", "Key=")),
            Run(Base64, 86),
            Text("==;EndpointSuffix=core.windows.net"),
        ],
    ),
];

impl Format {
    pub fn make(&self, rng: &mut Rng) -> String {
        let mut token = String::new();
        let mut last = 0;
        for part in self.parts {
            match *part {
                Text(text) => token.push_str(text),
                Run(letters, length) => {
                    last = token.len();
                    token.push_str(&rng.run(letters, length));
                }
                Crc62 => token.push_str(&base62(crc32(&token.as_bytes()[last..]))),
                CrcHex => {
                    for byte in crc32(token.trim_end_matches('_').as_bytes()).to_le_bytes() {
                        token.push_str(&format!("{byte:02x}"));
                    }
                }
            }
        }
        token
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

fn base62(mut number: u32) -> String {
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        *place = digits[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8(text.to_vec()).unwrap()
}

/// A private key as OpenSSL writes it, with noise inside.
pub fn pem(rng: &mut Rng) -> String {
    let lines: Vec<String> = (0..12).map(|_| rng.run(Base64, 64)).collect();
    format!("-----BEGIN {}-----\n{}\n-----END {}-----\n", "PRIVATE KEY", lines.join("\n"), "PRIVATE KEY")
}

/// A signed token of some service.
pub fn jwt(rng: &mut Rng) -> String {
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let payload = format!("{{\"sub\":\"{}\",\"iss\":\"shop\",\"iat\":17{}}}", rng.run(Mixed, 12), rng.run(Digits, 8));
    format!("{}.{}.{}", encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), encode(&payload), encode(&rng.run(Mixed, 32)))
}

/// A generic secret, made by a machine: nothing but its name gives it away.
pub fn generic(rng: &mut Rng) -> String {
    match rng.below(5) {
        // A password manager's.
        0 => rng.run(Mixed, 16),
        1 => {
            let length = 20 + rng.below(24);
            rng.run(Mixed, length)
        }
        // `openssl rand -hex` and `-base64`.
        2 => rng.run(Hex, 40),
        3 => format!("{}=", rng.run(Base64, 43)),
        _ => {
            let symbols: Vec<char> = "!#%+^~".chars().collect();
            let (at, symbol) = (3 + rng.below(8), rng.pick(&symbols));
            let mut text = rng.run(Mixed, 14);
            text.insert(at, symbol);
            text
        }
    }
}

/// What a person types who is asked for upper case, digits and a symbol. The words are no words.
pub fn chosen(rng: &mut Rng) -> String {
    let syllables = ["zor", "vek", "mul", "quil", "trab", "nox", "fyr", "gant", "plov", "drus", "wim", "kest"];
    let mut word = String::new();
    for _ in 0..3 {
        word.push_str(rng.pick(&syllables));
    }
    word[..1].make_ascii_uppercase();
    format!("{word}{}{}", rng.run(Digits, 3), rng.pick(&["!", "#", "?", "%"]))
}

/// Every run of four letters holds an upper-case one and a digit, so that no run of it stands in a text by chance.
pub fn unmistakable(rng: &mut Rng, length: usize) -> String {
    let sets: [&[u8]; 3] = [b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"23456789", b"abcdefghijkmnpqrstuvwxyz"];
    (0..length).map(|at| char::from(rng.pick(sets[at % 3]))).collect()
}

#[test]
fn checksums_are_the_issuers() {
    // The CRC-32 of every textbook, and npm's way to write it.
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(base62(61), "00000z");
}
