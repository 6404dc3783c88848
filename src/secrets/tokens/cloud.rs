//! Token formats of clouds, databases, networks and secret stores.
//!
//! Data only; the columns are those of [`Entry`], the engine is `tokens.rs`.

use super::Entry;
use super::checksum::{bech32, tink};
use super::whole;

const fn t(
    id: &'static str,
    issuer: &'static str,
    what: &'static str,
    keywords: &'static [&'static str],
    pattern: &'static str,
) -> Entry {
    Entry::new(id, issuer, what, keywords, pattern)
}

/// One line an entry.
#[rustfmt::skip] // one line an entry
pub(super) const ENTRIES: &[Entry] = &[
    t("aws-access-key-id", "AWS", "access key id", &["AKIA", "ASIA", "ABIA", "ACCA"], r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}"),
    t("aws-bedrock-long", "AWS", "Bedrock API key", &["ABSK"], r"ABSK[\w+/]{109,269}={0,2}").max(290),
    t("aws-bedrock-short", "AWS", "Bedrock API key", &["bedrock-api-key-"], r"bedrock-api-key-(?:YmVk)cm9jay5hbWF6b25hd3MuY29t[\w+/=-]{0,1500}").max(1560),
    t("aws-appsync", "AWS", "AppSync API key", &["da2-"], r"da2-[a-z0-9]{26}"),
    t("gcp-api-key", "Google", "API key", &["AIza"], r"AIza[\w-]{35}"),
    t("gcp-gemini", "Google", "Gemini API key", &["AQ.Ab8RN6"], r"AQ\.Ab8RN6[\w-]{40,50}"),
    t("gcp-oauth-secret", "Google", "OAuth client secret", &["GOCSPX-"], r"GOCSPX-[\w-]{28}"),
    t("gcp-oauth-access", "Google", "OAuth access token", &["ya29."], r"ya29\.[\w-]{30,500}").max(520),
    t("gcp-oauth-refresh", "Google", "OAuth refresh token", &["1//0"], r"1//0[\w-]{40,110}"),
    t("tink", "Tink", "keyset", &["dHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbm", "R5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLmNyeXB0by50aW5r", "0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5jcnlwdG8udGluay"], r"[\w+/]{8,40}(?:dHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbm|R5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLmNyeXB0by50aW5r|0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5jcnlwdG8udGluay)[\w+/]{40,1500}={0,2}").back(40).max(1620).parse(tink),
    t("tink-json", "Tink", "keyset", &["google.crypto.tink."], r#"google\.crypto\.tink\.\w{3,40}[\s\\",]{3,20}value[\s\\":]{3,20}[\w+/]{16,1500}={0,2}[\s\\",]{3,20}keyMaterialType[\s\\":]{3,20}(?:SYMMETRIC|ASYMMETRIC_PRIVATE)"#).max(1700),
    t("azure-storage", "Azure", "storage account key", &["accountkey="], r"(?i)accountkey=[a-z0-9+/]{86}=="),
    t("azure-shared-access", "Azure", "shared access key", &["sharedaccesskey="], r"(?i)sharedaccesskey=[a-z0-9+/]{43}="),
    t("azure-ad-client-secret", "Azure", "client secret", &["Q~"], r"[[:alnum:]_~.-]{3}\dQ~[[:alnum:]_~.-]{31,34}").back(4).digits(1),
    t("azure-sas", "Azure", "shared access signature", &["sig="], r"sig=[[:alnum:]]{0,43}(?:(?:%2[bf]|[+/])[[:alnum:]]{0,43}){0,20}%3[dD]"),
    t("azure-apim", "Azure", "API Management subscription key", &["ocp-apim-subscription-key"], r#"(?i)ocp-apim-subscription-key['"]?\s{0,4}[:=]\s{0,4}['"]?[0-9a-f]{32}"#),
    t("azure-cosmos-cache", "Azure", "access key", &["+ASt", "AzCa", "AzSe", "+ABa", "+ACDb", "+AEh", "+AIoT", "AzFu", "AIoTC"], r"[[:alnum:]+/]{76}(?:\+ASt|\+ABa|AIoT)[[:alnum:]+/]{5,6}==|[[:alnum:]+/]{66}\+ACDb[[:alnum:]+/]{6}==|[[:alnum:]]{42}AzSe[[:alnum:]]{6}|[[:alnum:]+/]{33}(?:\+AEh|\+ASb|AIoT)[[:alnum:]+/]{6}=|[[:alnum:]]{33}AzCa[[:alnum:]]{6}=|[[:alnum:]_-]{44}AzFu[[:alnum:]_-]{4,8}").back(76),
    t("digitalocean-pat", "DigitalOcean", "access token", &["dop_v1_", "doo_v1_", "dor_v1_"], r"do[opr]_v1_[0-9a-f]{64}"),
    t("digitalocean-spaces", "DigitalOcean", "Spaces access key", &["DO00"], r"DO00[A-Z0-9]{16}").strict(),
    t("alibaba-access-key-id", "Alibaba Cloud", "access key id", &["LTAI"], r"LTAI[[:alnum:]]{17,21}").strict(),
    t("alibaba-sts", "Alibaba Cloud", "STS access key id", &["STS."], r"STS\.[[:alnum:]]{24,30}").strict(),
    t("tencent-secret-id", "Tencent Cloud", "secret id", &["AKID"], r"AKID[[:alnum:]]{32}").strict(),
    t("volcengine", "Volcengine", "access key id", &["AKLT"], r"AKLT[\w-]{40,60}").strict(),
    t("exoscale", "Exoscale", "API key", &["EXO"], r"EXO[[:xdigit:]]{24,30}").strict(),
    t("scaleway", "Scaleway", "access key", &["SCW"], r"SCW[A-Z0-9]{17}").strict(),
    t("upcloud", "UpCloud", "API token", &["ucat_"], r"ucat_[[:alnum:]]{26,40}"),
    t("backblaze", "Backblaze", "application key", &["K00"], r"K00\d[\w/+]{27}").strict(),
    t("yandex-api-key", "Yandex Cloud", "API key", &["AQVN"], r"AQVN[\w-]{35,38}").strict(),
    t("yandex-iam", "Yandex Cloud", "IAM token", &["t1."], r"t1\.[A-Z0-9a-z_-]{1,400}[=]{0,2}\.[\w-]{86}[=]{0,2}").max(510),
    t("yandex-aws", "Yandex Cloud", "static access key", &["YCA"], r"YC[AP][\w-]{22,38}").strict(),
    t("cloudflare-origin-ca", "Cloudflare", "origin CA key", &["v1.0-"], r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    t("cloudflare-token-2", "Cloudflare", "API token", &["cfat_", "cfut_", "cfk_"], r"cf(?:at|ut|k)_[[:alnum:]]{40,60}"),
    t("supabase-management", "Supabase", "management token", &["sbp_"], r"sbp_(?:oauth_)?[[:alnum:]]{40}"),
    t("supabase-secret", "Supabase", "secret key", &["sb_secret_"], r"sb_secret_[\w-]{31,36}"),
    t("planetscale", "PlanetScale", "token or password", &["pscale_tkn_", "pscale_oauth_", "pscale_pw_"], r"pscale_(?:tkn|oauth|pw)_[\w=.-]{32,64}"),
    t("neon", "Neon", "API key", &["napi_"], r"napi_[[:alnum:]]{64}"),
    t("neon-role", "Neon", "role password", &["npg_"], r"npg_[[:alnum:]]{12,20}").strict(),
    t("cockroachdb", "CockroachDB Cloud", "API key", &["CCDB1_"], r"CCDB1_[[:alnum:]]{22}_[[:alnum:]]{40}"),
    t("mongodb-atlas", "MongoDB Atlas", "service account secret", &["mdb_sa_sk_"], r"mdb_sa_sk_[\w-]{40}"),
    t("datastax", "DataStax Astra", "application token", &["AstraCS:"], r"AstraCS:[\w:%-]{20,140}"),
    t("clickhouse", "ClickHouse Cloud", "API secret key", &["4b1d"], r"4b1d[[:alnum:]]{38}").strict(),
    t("databricks", "Databricks", "access token", &["dapi"], r"dapi[0-9a-f]{32}(?:-\d{1,2})?"),
    t("databricks-oauth", "Databricks", "OAuth secret", &["dose"], r"dose[0-9a-f]{32}"),
    t("confluent", "Confluent Cloud", "API secret", &["cflt"], r"cflt[[:alnum:]+/]{60}"),
    t("aiven", "Aiven", "service password", &["AVNS_"], r"AVNS_[\w-]{16,24}"),
    t("fauna", "Fauna", "secret", &["fnA"], r"fnA[\w-]{37}").strict(),
    t("xata", "Xata", "API key", &["xau_"], r"xau_[[:alnum:]]{30,60}"),
    t("tinybird", "Tinybird", "token", &["p.eyJ"], r"p\.eyJ[\w-]{80,300}\.[\w-]{43}").max(360),
    t("vault-service", "Vault", "service token", &["hvs."], r"hvs\.[\w-]{24,130}").whole(whole::vault),
    t("vault-batch", "Vault", "batch token", &["hvb."], r"hvb\.[\w-]{100,400}").max(420),
    t("vault-recovery", "Vault", "recovery token", &["hvr."], r"hvr\.[\w-]{24,130}"),
    t("vault-legacy", "Vault", "service token", &["s."], r"s\.[[:alnum:]]{24}(?:\.[[:alnum:]]{5})?").strict(),
    t("openshift", "OpenShift", "user token", &["sha256~"], r"sha256~[\w-]{43}"),
    t("tailscale", "Tailscale", "key", &["tskey-"], r"tskey-(?:[a-z]{2,12}-)?[[:alnum:]]{8,24}-[[:alnum:]]{12,44}"),
    t("defined-networking", "Defined Networking", "API token", &["dnkey-"], r"dnkey-[\w=-]{26}-[\w=-]{52}"),
    t("netbird", "NetBird", "access token", &["nbp_"], r"nbp_[[:alnum:]]{36}"),
    t("rancher", "Rancher", "API token", &["token-"], r"token-[a-z0-9]{5}:[a-z0-9]{54}"),
    t("portainer", "Portainer", "access token", &["ptr_"], r"ptr_[\w+/=]{43,44}"),
    t("kubeadm-join", "Kubernetes", "kubeadm join token", &["--token"], r"--token[ =][a-z0-9]{6}\.[a-z0-9]{16}").strict(),
    t("age", "age", "secret key", &["AGE-SECRET-KEY-1"], r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}").check(bech32),
    t("age-plugin", "age", "post-quantum secret key", &["AGE-SECRET-KEY-PQ-1"], r"AGE-SECRET-KEY-PQ-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    t("jumpcloud", "JumpCloud", "API key", &["jca_"], r"jca_[[:alnum:]]{36}"),
    t("kubeconfig-key", "Kubernetes", "client key of a kubeconfig", &["client-key-data"], r#"client-key-data['"]?\s{0,4}:\s{0,4}['"]?LS0tLS1CRUdJTi[\w+/=]{40,3000}"#).max(3060),
];
