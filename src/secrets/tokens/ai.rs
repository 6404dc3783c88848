//! Token formats of AI and data-collection services.
//!
//! Data only; the columns are those of [`Entry`], the engine is `tokens.rs`.

use super::Entry;

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
    t("openai", "OpenAI", "API key", &["T3BlbkFJ"], r"sk-(?:(?:proj|svcacct|admin|None)-)?(?:[\w-]{20}T3BlbkFJ[\w-]{20}|[\w-]{58}T3BlbkFJ[\w-]{58}|[\w-]{74}T3BlbkFJ[\w-]{74})").back(110).max(320),
    t("anthropic", "Anthropic", "API key", &["sk-ant-"], r"sk-ant-(?:(?:api|admin)\d{2}-[\w-]{93}AA|(?:oat|ort|sid)\d{2}-[\w-]{80,120})"),
    t("huggingface", "Hugging Face", "access token", &["hf_"], r"hf_[A-Za-z]{34}"),
    t("huggingface-org", "Hugging Face", "organisation API token", &["api_org_"], r"api_org_[A-Za-z]{34}"),
    t("groq", "Groq", "API key", &["gsk_"], r"gsk_[[:alnum:]]{52}"),
    t("xai", "xAI", "API key", &["xai-"], r"xai-[\w-]{70,120}"),
    t("perplexity", "Perplexity", "API key", &["pplx-"], r"pplx-[[:alnum:]]{48}"),
    t("openrouter", "OpenRouter", "API key", &["sk-or-v1-"], r"sk-or-v1-[0-9a-f]{64}"),
    t("replicate", "Replicate", "API token", &["r8_"], r"r8_[[:alnum:]]{37}"),
    t("cerebras", "Cerebras", "API key", &["csk-"], r"csk-[a-z0-9]{48}"),
    t("nvidia", "NVIDIA", "API key", &["nvapi-"], r"nvapi-[\w-]{60,70}"),
    t("pinecone", "Pinecone", "API key", &["pcsk_"], r"pcsk_[[:alnum:]]{5,6}_[[:alnum:]]{63}"),
    t("langsmith", "LangSmith", "API key", &["lsv2_pt_", "lsv2_sk_"], r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    t("langchain-legacy", "LangSmith", "API key", &["ls__"], r"ls__[0-9a-f]{32}"),
    t("langfuse", "Langfuse", "secret key", &["sk-lf-"], r"sk-lf-UUID"),
    t("wandb", "Weights & Biases", "API key", &["wandb_v1_"], r"wandb_v1_[\w-]{70,90}"),
    t("together", "Together AI", "API key", &["tgp_v1_"], r"tgp_v1_[\w-]{43}"),
    t("fireworks", "Fireworks AI", "API key", &["fw_"], r"fw_[[:alnum:]]{22,24}").strict(),
    t("elevenlabs", "ElevenLabs", "API key", &["sk_"], r"sk_[0-9a-f]{48}"),
    t("tavily", "Tavily", "API key", &["tvly-"], r"tvly-(?:(?:dev|prod)-)?[[:alnum:]-]{32,50}"),
    t("firecrawl", "Firecrawl", "API key", &["fc-"], r"fc-[0-9a-f]{32}"),
    t("voyage", "Voyage AI", "API key", &["pa-"], r"pa-[\w-]{43}").strict(),
    t("jina", "Jina AI", "API key", &["jina_"], r"jina_[[:alnum:]]{60}"),
    t("runpod", "RunPod", "API key", &["rpa_"], r"rpa_[[:alnum:]]{44,48}"),
    t("friendli", "FriendliAI", "access token", &["flp_"], r"flp_[[:alnum:]]{44,48}"),
    t("cursor", "Cursor", "API key", &["key_"], r"key_[0-9a-f]{64}"),
    t("cursor-crsr", "Cursor", "API key", &["crsr_"], r"crsr_[0-9a-f]{64}"),
    t("devin", "Devin", "API key", &["apk_"], r"apk_(?:user_)?[[:alnum:]+/=]{60,220}"),
    t("minimax", "MiniMax", "API key", &["sk-api-", "sk-cp-"], r"sk-(?:api|cp)-[\w-]{60,140}"),
    t("helicone", "Helicone", "API key", &["sk-helicone-"], r"sk-helicone-[a-z0-9]{7}-[a-z0-9]{7}-[a-z0-9]{7}-[a-z0-9]{7}"),
    t("anyscale", "Anyscale", "API key", &["esecret_"], r"esecret_[[:alnum:]]{20,40}"),
    t("llamacloud", "LlamaCloud", "API key", &["llx-"], r"llx-[[:alnum:]]{48}"),
    t("e2b", "E2B", "API key", &["e2b_"], r"e2b_[0-9a-f]{40}"),
    t("browserbase", "Browserbase", "API key", &["bb_live_"], r"bb_live_[\w-]{27,40}"),
    t("apify", "Apify", "API token", &["apify_api_"], r"apify_api_[[:alnum:]]{36,40}"),
    t("brave", "Brave Search", "API key", &["BSA"], r"BSA[\w-]{27,28}").strict(),
    t("stability", "OpenAI-compatible service", "API key", &["sk-"], r"sk-[[:alnum:]]{48}").strict(),
    t("deepseek", "OpenAI-compatible service", "API key", &["sk-"], r"sk-[0-9a-f]{32}").strict(),
    t("inngest", "Inngest", "signing key", &["signkey-"], r"signkey-(?:prod|test|branch)-[0-9a-f]{64}"),
    t("trigger", "Trigger.dev", "API key", &["tr_prod_", "tr_dev_", "tr_stg_"], r"tr_(?:prod|dev|stg)_[[:alnum:]]{20,24}"),
    t("mem0", "Mem0", "API key", &["m0-"], r"m0-[[:alnum:]]{40}"),
    t("modal", "Modal", "token secret", &["as-"], r"as-[[:alnum:]]{22}").strict(),
    t("runway", "Runway", "API key", &["key_"], r"key_[[:xdigit:]]{128}"),
    t("deepl", "DeepL", "API key", &[":fx"], r"UUID:fx").back(36),
    t("retell", "Retell AI", "API key", &["key_"], r"key_[0-9a-f]{28}"),
    t("scale", "Scale AI", "API key", &["live_"], r"live_[0-9a-f]{32}"),
    t("scrapfly", "Scrapfly", "API key", &["scp-live-"], r"scp-live-[0-9a-f]{32}"),
];
