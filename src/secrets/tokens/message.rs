//! Token formats of messaging, mail and customer contact.
//!
//! Data only; the columns are those of [`Entry`], the engine is `tokens.rs`.

use super::{Entry, entry as t};

/// One line an entry.
#[rustfmt::skip] // one line an entry
pub(super) const ENTRIES: &[Entry] = &[
    t("slack-bot", "Slack", "bot token", &["xoxb-"], r"xoxb-[[:alnum:]]{8,14}-[\w-]{10,80}"),
    t("slack-user", "Slack", "user token", &["xoxp-", "xoxe-", "xoxs-", "xoxo-"], r"xox[peso]-\d{6,14}-(?:\d+-){0,3}[\w-]{10,200}"),
    t("slack-legacy", "Slack", "workspace token", &["xoxa-", "xoxr-"], r"xox[ar]-(?:\d-)?[[:alnum:]]{8,48}(?:-[[:alnum:]-]{4,80})?"),
    t("slack-app", "Slack", "app-level token", &["xapp-"], r"(?i)xapp-\d-[a-z0-9]{8,14}-\d{8,16}-[0-9a-f]{58,66}").max(160),
    t("slack-config", "Slack", "configuration token", &["xoxe.xox"], r"(?i)xoxe\.xox[bp]-\d-[a-z0-9]{120,200}"),
    t("slack-config-refresh", "Slack", "configuration refresh token", &["xoxe-"], r"(?i)xoxe-\d-[a-z0-9]{120,200}"),
    t("slack-session", "Slack", "session cookie", &["xoxd-", "xoxc-"], r"xox[dc]-[\w/+%=-]{60,260}"),
    t("slack-webhook", "Slack", "webhook", &["hooks.slack.com/"], r"hooks\.slack\.com/(?:services|workflows|triggers)/[[:alnum:]+/]{40,90}"),
    t("discord-webhook", "Discord", "webhook", &["/api/webhooks/"], r"/api/webhooks/\d{17,20}/[\w-]{60,72}"),
    t("telegram", "Telegram", "bot token", &[":AA"], r"\d{8,10}:AA[\w-]{32,33}").back(10).digits(8),
    t("teams-webhook", "Microsoft Teams", "webhook", &["webhook.office.com/", "outlook.office.com/webhook"], r"(?:webhook\.office\.com/webhookb2|outlook\.office\.com/webhook)/UUID@UUID/IncomingWebhook/[[:alnum:]]{32}/UUID").max(330),
    t("google-chat-webhook", "Google Chat", "webhook", &["chat.googleapis.com/v1/spaces/"], r"chat\.googleapis\.com/v1/spaces/[\w-]{8,20}/messages\?key=[\w%-]{30,60}&token=[\w%=-]{30,60}"),
    t("twilio-api-key", "Twilio", "API key", &["SK"], r"SK[[:xdigit:]]{32}"),
    t("sendgrid", "SendGrid", "API key", &["SG."], r"SG\.[\w=-]{22}\.[\w=-]{43}|SG\.[\w=-]{66}"),
    t("mailgun", "Mailgun", "API key", &["key-"], r"key-[0-9a-f]{32}"),
    t("mailchimp", "Mailchimp", "API key", &["-us"], r"[0-9a-f]{32}-us\d{1,2}").back(32),
    t("mandrill", "Mandrill", "API key", &["md-"], r"md-[\w-]{22}").strict(),
    t("brevo", "Brevo", "API key", &["xkeysib-", "xsmtpsib-"], r"x(?:key|smtp)sib-[0-9a-f]{64}-[[:alnum:]]{16}"),
    t("mailersend", "MailerSend", "API token", &["mlsn."], r"mlsn\.[0-9a-z]{48,72}"),
    t("resend", "Resend", "API key", &["re_"], r"re_[[:alnum:]]{8}_[[:alnum:]]{24}"),
    t("onesignal", "OneSignal", "API key", &["os_v2_"], r"os_v2_(?:app|org)_[a-z2-7]{103}"),
    t("pubnub", "PubNub", "key", &["pub-c-", "sub-c-", "sec-c-"], r"(?:pub|sub)-c-UUID|sec-c-[[:alnum:]]{48}"),
    t("klaviyo", "Klaviyo", "private API key", &["pk_"], r"pk_[0-9a-f]{34}"),
    t("intercom", "Intercom", "access token", &["dG9rO"], r"dG9rO[[:alnum:]+/]{53}[[:alnum:]=]{2}"),
    t("hubspot", "HubSpot", "private app token", &["pat-na", "pat-eu"], r"pat-(?:na|eu)\d-UUID"),
    t("gc-notify", "Notify", "API key", &["gcntfy-"], r"gcntfy-[\w-]{1,60}UUID-UUID"),
    t("courier", "Courier", "auth token", &["pk_prod_", "pk_test_", "dk_prod_"], r"[pd]k_(?:prod|test)_[A-Z0-9]{28}"),
    t("pushbullet", "Pushbullet", "access token", &["o."], r"o\.[[:alnum:]]{32}").strict(),
    t("zoho", "Zoho", "OAuth token", &["1000."], r"1000\.[0-9a-f]{32}\.[0-9a-f]{32}"),
    t("telnyx", "Telnyx", "API key", &["KEY01"], r"KEY01[[:xdigit:]]{30}_[[:alnum:]]{22}"),
    t("nylas", "Nylas", "API key", &["nyk_v0_"], r"nyk_v0_[[:alnum:]]{64}"),
    t("facebook-access", "Facebook", "access token", &["EAAM", "EAAC", "EAAG", "EAAB", "EAAD", "EAAJ", "EAAE", "EAAF", "EAAI", "EAAL", "EAAN", "EAAO", "EAAP", "EAAH", "EAAK"], r"EAA[B-P][[:alnum:]]{96,400}").max(420),
    t("facebook-app", "Facebook", "app access token", &["|"], r"\d{13,17}\|[\w-]{27}").back(17).digits(13),
    t("instagram", "Instagram", "access token", &["IGQV"], r"IGQV[\w-]{100,300}").max(320),
    t("twitter-bearer", "Twitter", "bearer token", &["AAAAAAAAAAAAAAAAAAAA"], r"A{20,22}[\w%-]{60,120}").strict(),
    t("twitch-stream", "Twitch", "stream key", &["live_"], r"live_\d{6,12}_[[:alnum:]]{30}"),
    t("linkedin", "LinkedIn", "access token", &["AQ"], r"AQ[UVWX][\w-]{120,400}").max(420),
    t("linkedin-secret", "LinkedIn", "client secret", &["WPL_AP1."], r"WPL_AP1\.[[:alnum:]]{16}\.[\w+/]{6}=="),
    t("pinterest", "Pinterest", "access token", &["pina_", "pinr."], r"pin(?:a_|r\.)[\w-]{40,80}"),
    t("riot", "Riot Games", "API key", &["RGAPI-"], r"RGAPI-UUID"),
];
