//! Token formats of identity, content and business applications.
//!
//! Data only; the columns are those of [`Entry`], the engine is `tokens.rs`.

use super::checksum::zuplo;
use super::{Entry, entry as t};
/// One line an entry.
#[rustfmt::skip] // one line an entry
pub(super) const ENTRIES: &[Entry] = &[
    t("notion", "Notion", "integration token", &["ntn_"], r"ntn_\d{11}[[:alnum:]]{35}"),
    t("notion-legacy", "Notion", "integration token", &["secret_"], r"secret_[[:alnum:]]{43}"),
    t("linear", "Linear", "API key", &["lin_api_", "lin_oauth_"], r"lin_(?:api_[[:alnum:]]{40}|oauth_[[:xdigit:]]{64})"),
    t("airtable", "Airtable", "personal access token", &["pat"], r"pat[[:alnum:]]{14}\.[0-9a-f]{64}"),
    t("figma", "Figma", "access token", &["figd_", "figo_", "figu_", "figor_"], r"fig(?:d|o|u|or)_[\w-]{38,44}"),
    t("asana", "Asana", "personal access token", &["/1"], r"[12]/1[12]\d{14}(?:/\d{16})?:[0-9a-f]{32}").back(1),
    t("clickup", "ClickUp", "API token", &["pk_"], r"pk_\d{6,9}_[A-Z0-9]{32}"),
    t("contentful", "Contentful", "management token", &["CFPAT-"], r"CFPAT-[\w-]{43}"),
    t("readme", "ReadMe", "API key", &["rdme_"], r"rdme_[a-z0-9]{70}"),
    t("frameio", "Frame.io", "developer token", &["fio-u-"], r"fio-u-[\w=-]{64}"),
    t("dropbox", "Dropbox", "access token", &["sl."], r"sl\.(?:u\.)?[\w=-]{130,1300}").max(1320),
    t("mapbox", "Mapbox", "secret token", &["sk.eyJ"], r"sk\.eyJ[\w-]{40,200}\.[\w-]{20,40}"),
    t("okta-ssws", "Okta", "API token", &["SSWS "], r"SSWS 00[\w=-]{39,41}"),
    t("salesforce", "Salesforce", "access token", &["!"], r"00[[:alnum:]]{13,16}![\w.]{80,140}").back(18),
    t("salesforce-refresh", "Salesforce", "refresh token", &["5Aep861"], r"5Aep861[\w.]{80,120}"),
    t("maxmind", "MaxMind", "licence key", &["_mmk"], r"[[:alnum:]]{6}_[[:alnum:]]{29}_mmk").back(36),
    t("intra42", "Intra 42", "client secret", &["s-s4t2ud-", "s-s4t2af-"], r"s-s4t2(?:ud|af)-[0-9a-f]{64}"),
    t("stytch", "Stytch", "secret", &["secret-live-", "secret-test-"], r"secret-(?:live|test)-[\w=-]{36}"),
    t("authress", "Authress", "service client access key", &["sc_", "ext_", "scauth_", "authress_"], r"(?:sc|ext|scauth|authress)_[[:alnum:]]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[\w+/=-]{30,120}"),
    t("zuplo", "Zuplo", "API key", &["zpka_"], r"zpka_[[:alnum:]]{32}_[0-9a-f]{8}").check(zuplo),
    t("typeform", "Typeform", "API token", &["tfp_"], r"tfp_[\w=.-]{40,60}"),
    t("lichess", "Lichess", "access token", &["lip_", "lio_"], r"li[po]_[[:alnum:]]{20,32}"),
    t("cfx", "Cfx.re", "server key", &["cfxk_"], r"cfxk_[[:alnum:]]{20}(?:_[[:alnum:]]{5,8})?"),
    t("sanity", "Sanity", "API token", &["sk"], r"sk[[:alnum:]]{177}"),
    t("tolgee", "Tolgee", "access token", &["tgpat_", "tgpak_"], r"tgpa[tk]_[a-z2-7]{40,60}"),
    t("weblate", "Weblate", "API token", &["wlu_", "wlp_"], r"wl[up]_[[:alnum:]]{36}"),
    t("samsara", "Samsara", "API token", &["samsara_api_"], r"samsara_api_[[:alnum:]]{30}"),
    t("branch", "Branch", "secret", &["secret_live_", "secret_test_", "key_live_", "key_test_"], r"(?:secret|key)_(?:live|test)_[[:alnum:]]{32}"),
    t("settlemint", "SettleMint", "access token", &["sm_pat_", "sm_aat_", "sm_sat_"], r"sm_[pas]at_[[:alnum:]]{16,40}"),
    t("beamer", "Beamer", "API key", &["b_"], r"b_[\w=-]{44}").strict(),
    t("retool", "Retool", "access token", &["retool_"], r"retool_01[0-9a-z]{24}"),
    t("appwrite", "Appwrite", "API key", &["standard_"], r"standard_[0-9a-f]{256}").max(280),
    t("cal", "Cal.com", "API key", &["cal_live_"], r"cal_live_[0-9a-f]{32}"),
    t("close", "Close", "API key", &["api_"], r"api_[[:alnum:]]{22}\.[[:alnum:]]{22}"),
    t("adobe", "Adobe", "client secret", &["p8e-", "p8"], r"p8e-[\w-]{32}"),
    t("adobe-device", "Adobe", "access token", &["s8e-"], r"s8e-[\w-]{32,60}"),
    t("evernote", "Evernote", "developer token", &["S=s"], r"S=s\d{1,3}:U=[0-9a-f]{1,8}:E=[0-9a-f]{9,12}:C=[0-9a-f]{9,12}:P=[0-9a-f]{1,4}:A=[\w-]{2,30}:V=\d:H=[0-9a-f]{32}"),
    t("ionic", "Ionic", "API token", &["ion_"], r"ion_[[:alnum:]]{42}"),
    t("nostr", "Nostr", "private key", &["nsec1"], r"nsec1[02-9ac-hj-np-z]{58}"),
    t("bitcoin-xprv", "Bitcoin", "extended private key", &["xprv9s21ZrQH143K", "xprv9"], r"xprv9[[:alnum:]]{106}"),
    t("pyx", "pyx", "API key", &["sk-pyx-"], r"sk-pyx-[[:alnum:]]{48}"),
    t("pyx-2", "pyx", "user key", &["SK-pyx-2"], r"SK-pyx-2[[:alnum:]]{44}"),
    t("canva", "Canva", "client secret", &["cnvca"], r"cnvca[\w-]{50}"),
    t("teamwork", "Teamwork", "API token", &["tkn.v1_"], r"tkn\.v1_[\w+/-]{60,100}={0,2}"),
];
