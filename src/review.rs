//! The envelope: an `admission.k8s.io/v1` AdmissionReview in, its answer out.
//!
//! Reading borrows from the body. Both objects are read in the same pass; one that is too large for a tree stays text. The
//! answer's patch is base64 text, the uid is echoed. Knows the wire only; what is answered is decided in engine.rs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::printable::{clip, printable};
use crate::tree::writer::write_str;
use crate::tree::{Arena, Keep, Node, ReadError, Reader, Unreadable};

/// The only version of the envelope that is spoken here.
pub const API_VERSION: &str = "admission.k8s.io/v1";

/// What the API server asks about one object.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Ties the answer to the question.
    pub uid: Cow<'a, str>,
    /// The object's API group, "" for core, and its kind.
    pub group: Cow<'a, str>,
    /// See `group`.
    pub kind: Cow<'a, str>,
    /// "ephemeralcontainers", "resize", … or "".
    pub sub_resource: Cow<'a, str>,
    /// Empty at CREATE with `generateName`.
    pub name: Cow<'a, str>,
    /// Empty for what is cluster-scoped.
    pub namespace: Cow<'a, str>,
    /// What is being done.
    pub operation: Operation,
    /// Who asks.
    pub username: Cow<'a, str>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The object as it would be stored.
    pub object: Body<'a>,
    /// What is stored now.
    pub old_object: Body<'a>,
}

/// An object; text where it is too large for a tree, or the envelope is odd.
#[derive(Clone, Debug, Default)]
pub enum Body<'a> {
    /// There is none, as at CREATE for the old one.
    #[default]
    Absent,
    /// Its text.
    Raw(&'a str),
    /// Read already, without managedFields.
    Tree(Node<'a>),
}

/// What is being done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
    /// Exec, port-forward, proxy.
    Connect,
}

impl Operation {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect]
            .into_iter()
            .find(|operation| operation.word() == word)
    }
}

/// The body is no AdmissionReview that can be answered.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not UTF-8.
    #[error("the body is not UTF-8 text")]
    NotText,
    /// Not JSON, or JSON of another shape.
    #[error("the body is not an AdmissionReview: {0}")]
    NotReview(String),
    /// Another group, version or kind.
    #[error(
        "cannot answer {kind} of {api_version}: send AdmissionReview of {API_VERSION} (admissionReviewVersions: [v1])"
    )]
    OtherVersion {
        /// What came, made safe to show.
        api_version: String,
        /// What came, made safe to show.
        kind: String,
    },
    /// Something else altogether.
    #[error("the body has no apiVersion and kind: send AdmissionReview of {API_VERSION}")]
    Untyped,
    /// An answer without a question.
    #[error("the AdmissionReview has no request")]
    NoRequest,
}

impl<'a> Body<'a> {
    /// The object's tree without managedFields; `None` when there is no object.
    pub fn tree(&self) -> Result<Option<Cow<'_, Node<'a>>>, ReadError> {
        Ok(match self {
            Body::Absent => None,
            Body::Raw(text) => Some(Cow::Owned(Node::read_unmanaged(text)?)),
            Body::Tree(node) => Some(Cow::Borrowed(node)),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReview<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    request: Option<WireRequest<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    kind: WireKind<'a>,
    #[serde(borrow, default)]
    sub_resource: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    operation: Operation,
    #[serde(borrow, default)]
    user_info: WireUser<'a>,
    #[serde(borrow, default)]
    object: Body<'a>,
    #[serde(borrow, default)]
    old_object: Body<'a>,
    #[serde(default)]
    dry_run: Option<bool>,
}

#[derive(Deserialize)]
struct WireKind<'a> {
    #[serde(borrow, default)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct WireUser<'a> {
    #[serde(borrow, default)]
    username: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<&RawValue>::deserialize(deserializer)?;
        Ok(text.map_or(Body::Absent, |text| Body::Raw(text.get())))
    }
}

/// Reads the envelope and the object in it; what is read of them goes to `arena`.
///
/// An object that cannot be read does not take the envelope with it: it stays text, and who asks for its tree is told.
pub fn read<'a>(body: &'a [u8], arena: &'a Arena) -> Result<Request<'a>, EnvelopeError> {
    let text = std::str::from_utf8(body).map_err(|_| EnvelopeError::NotText)?;
    if let Ok(review) = WireReview::read(text, arena) {
        return request(review);
    }
    request(serde_json::from_str(text).map_err(|error| not_review(&error))?)
}

impl<'a> WireReview<'a> {
    /// The usual case, in one pass. Whatever is odd is left to serde, which knows to say what it is.
    fn read(text: &'a str, arena: &'a Arena) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(text, arena);
        let (mut api_version, mut kind, mut request) = (None, None, None);
        reader.object(|reader, name| match name {
            "apiVersion" => once(&mut api_version, reader.string()?.into()),
            "kind" => once(&mut kind, reader.string()?.into()),
            "request" => once(&mut request, WireRequest::read(reader)?),
            _ => reader.skip().map(drop),
        })?;
        reader.end()?;
        Ok(WireReview { api_version: api_version.unwrap_or_default(), kind: kind.unwrap_or_default(), request })
    }
}

impl<'a> WireRequest<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let (mut uid, mut kind, mut sub_resource, mut name, mut namespace) = (None, None, None, None, None);
        let (mut operation, mut user_info, mut object, mut old_object, mut dry_run) = (None, None, None, None, None);
        reader.object(|reader, member| match member {
            "uid" => once(&mut uid, reader.string()?.into()),
            "kind" => once(&mut kind, WireKind::read(reader)?),
            "subResource" => once(&mut sub_resource, reader.string()?.into()),
            "name" => once(&mut name, reader.string()?.into()),
            "namespace" => once(&mut namespace, reader.string()?.into()),
            "operation" => once(&mut operation, Operation::of(reader.string()?).ok_or(Unreadable)?),
            "userInfo" => once(&mut user_info, WireUser::read(reader)?),
            "object" if reader.null()? => once(&mut object, Body::Absent),
            "object" => once(&mut object, Body::read(reader)?),
            "oldObject" if reader.null()? => once(&mut old_object, Body::Absent),
            "oldObject" => once(&mut old_object, Body::read(reader)?),
            "dryRun" => once(&mut dry_run, reader.bool()?),
            _ => reader.skip().map(drop),
        })?;
        Ok(WireRequest {
            uid: uid.ok_or(Unreadable)?,
            kind: kind.ok_or(Unreadable)?,
            sub_resource: sub_resource.unwrap_or_default(),
            name: name.unwrap_or_default(),
            namespace: namespace.unwrap_or_default(),
            operation: operation.ok_or(Unreadable)?,
            user_info: user_info.unwrap_or_default(),
            object: object.unwrap_or_default(),
            old_object: old_object.unwrap_or_default(),
            dry_run,
        })
    }
}

impl<'a> WireKind<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let (mut group, mut kind) = (None, None);
        reader.object(|reader, name| match name {
            "group" => once(&mut group, reader.string()?.into()),
            "kind" => once(&mut kind, reader.string()?.into()),
            _ => reader.skip().map(drop),
        })?;
        Ok(WireKind { group: group.unwrap_or_default(), kind: kind.ok_or(Unreadable)? })
    }
}

impl<'a> WireUser<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let mut username = None;
        reader.object(|reader, name| match name {
            "username" => once(&mut username, reader.string()?.into()),
            _ => reader.skip().map(drop),
        })?;
        Ok(WireUser { username: username.unwrap_or_default() })
    }
}

impl<'a> Body<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        Ok(reader.value_or_text(Keep::Unmanaged)?.map_or_else(Body::Raw, Body::Tree))
    }
}

/// Of two members with one name nobody can say which is meant.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Unreadable> {
    if slot.replace(value).is_some() { Err(Unreadable) } else { Ok(()) }
}

fn request(review: WireReview<'_>) -> Result<Request<'_>, EnvelopeError> {
    if review.api_version != API_VERSION || review.kind != "AdmissionReview" {
        if review.api_version.is_empty() || review.kind.is_empty() {
            return Err(EnvelopeError::Untyped);
        }
        let safe = |text: &str| printable(&clip(text, 60)).into_owned();
        return Err(EnvelopeError::OtherVersion { api_version: safe(&review.api_version), kind: safe(&review.kind) });
    }
    let request = review.request.ok_or(EnvelopeError::NoRequest)?;
    Ok(Request {
        uid: request.uid,
        group: request.kind.group,
        kind: request.kind.kind,
        sub_resource: request.sub_resource,
        name: request.name,
        namespace: request.namespace,
        operation: request.operation,
        username: request.user_info.username,
        dry_run: request.dry_run.unwrap_or(false),
        object: request.object,
        old_object: request.old_object,
    })
}

/// serde's own text may quote a value ("invalid type: string \"…\""), which must reach no log: position and category only.
fn not_review(error: &serde_json::Error) -> EnvelopeError {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is not valid JSON",
        _ => "a field is missing or has the wrong type",
    };
    EnvelopeError::NotReview(format!("{what}, at line {}, column {}", error.line(), error.column()))
}

/// What is answered to one request.
#[derive(Clone, Debug, Default)]
pub struct Response<'a> {
    /// Why the object is refused; `None` lets it pass.
    pub refusal: Option<Refusal>,
    /// An RFC 6902 patch as JSON text; `None` changes nothing.
    pub patch: Option<&'a str>,
    /// At most 120 characters each.
    pub warnings: Vec<String>,
    /// Keys without a domain; the API server puts the webhook's name in front.
    pub audit_annotations: BTreeMap<String, String>,
}

/// A refusal's words.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What the author reads in the terminal.
    pub message: String,
    /// The same, one cause a finding, for programs.
    pub causes: Vec<Cause>,
}

/// One entry of `status.details.causes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The rule's id.
    pub reason: String,
    /// What is wrong and how to mend it.
    pub message: String,
    /// The JSON pointer.
    pub field: String,
}

#[derive(Serialize)]
struct WireStatus<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
    details: WireDetails<'a>,
}

#[derive(Serialize)]
struct WireDetails<'a> {
    causes: &'a [Cause],
}

impl Response<'_> {
    /// The AdmissionReview that answers the request with this `uid`.
    pub fn encode(&self, uid: &str) -> Vec<u8> {
        // Nearly all of it is the patch, in base64 (which has nothing to escape); it comes last.
        let mut text = String::with_capacity(256 + self.patch.map_or(0, |patch| patch.len().div_ceil(3) * 4));
        text.push_str(r#"{"apiVersion":""#);
        text.push_str(API_VERSION);
        text.push_str(r#"","kind":"AdmissionReview","response":{"uid":"#);
        write_str(uid, &mut text);
        text.push_str(if self.refusal.is_none() { r#","allowed":true"# } else { r#","allowed":false"# });
        if let Some(Refusal { message, causes }) = &self.refusal {
            let details = WireDetails { causes };
            member("status", &WireStatus { code: 403, reason: "Forbidden", message, details }, &mut text);
        }
        if !self.warnings.is_empty() {
            member("warnings", &self.warnings, &mut text);
        }
        if !self.audit_annotations.is_empty() {
            member("auditAnnotations", &self.audit_annotations, &mut text);
        }
        let Some(patch) = self.patch else {
            text.push_str("}}");
            return text.into_bytes();
        };
        text.push_str(r#","patchType":"JSONPatch","patch":""#);
        let mut bytes = text.into_bytes();
        base64_simd::STANDARD.encode_append(patch.as_bytes(), &mut bytes);
        bytes.extend_from_slice(br#""}}"#);
        bytes
    }
}

/// Appends a member of an object that has others.
fn member(name: &str, value: &impl Serialize, text: &mut String) {
    text.push(',');
    write_str(name, text);
    text.push(':');
    // Strings, numbers and string-keyed maps only: serde_json has nothing to refuse in what is answered.
    text.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVIEW: &str = r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "name": "web", "namespace": "shop", "operation": "UPDATE", "userInfo": {"username": "ann"},
        "object": {"spec": 1}, "oldObject": null, "dryRun": true, "options": {"kind": "UpdateOptions"}}}"#;

    #[test]
    fn reads_what_the_api_server_sends() {
        let arena = Arena::default();
        let request = read(REVIEW.as_bytes(), &arena).unwrap();
        assert_eq!((&*request.uid, &*request.group, &*request.kind), ("u-1", "apps", "Deployment"));
        assert_eq!((&*request.namespace, &*request.username, request.dry_run), ("shop", "ann", true));
        assert!(matches!(request.object, Body::Tree(tree) if tree == Node::read(r#"{"spec": 1}"#).unwrap()));
        assert!(matches!(request.old_object, Body::Absent));
    }

    #[test]
    fn an_object_that_is_too_large_for_a_tree_stays_text_and_the_other_one_is_read() {
        let large = format!("[{}0]", "0,".repeat(500_000));
        let text = REVIEW.replace("null", &large);
        let arena = Arena::default();
        let request = read(text.as_bytes(), &arena).unwrap();
        assert!(matches!(request.object, Body::Tree(_)));
        assert!(matches!(request.old_object, Body::Raw(text) if text == large));
        assert!(request.dry_run, "what comes after it is read, too");
    }

    #[test]
    fn both_ways_of_reading_agree() {
        let whole = |wire: Option<WireReview<'_>>| {
            let request = wire.map(request).and_then(Result::ok)?;
            let has = |body: &Body<'_>| body.tree().unwrap().map(|tree| tree.to_value());
            let (object, old) = (has(&request.object), has(&request.old_object));
            let Request { uid, group, kind, sub_resource, name, namespace, username, .. } = request;
            let words = [uid, group, kind, sub_resource, name, namespace, username].map(Cow::into_owned);
            Some((words, request.operation, request.dry_run, object, old))
        };
        let changes = [
            ("", ""),
            (r#""object": {"spec": 1}"#, r#""object": null"#),
            (r#""oldObject": null"#, r#""oldObject": {"spec": [null, "\u00e4"]}, "subResource": "resize""#),
            (r#""uid": "u-1","#, ""),
            (r#""uid": "u-1","#, r#""uid": "u-1", "uid": "u-2","#),
            (r#""name": "web","#, r#""name": null,"#),
            (r#""name": "web","#, r#""name": "\u0077\"eb","#),
            (r#""kind": "Deployment""#, r#""sort": "Deployment""#),
            (r#""group": "apps","#, ""),
            (r#""UPDATE""#, r#""Update""#),
            (r#""dryRun": true"#, r#""dryRun": null"#),
            (r#""dryRun": true"#, r#""dryRun": "true""#),
            (r#"{"username": "ann"}"#, r#"{"groups": ["a"]}"#),
            (r#"{"username": "ann"}"#, r#""ann""#),
            ("}}", "}} x"),
        ];
        for (from, to) in changes {
            let text = REVIEW.replacen(from, to, 1);
            let arena = Arena::default();
            let (ours, serdes) = (WireReview::read(&text, &arena).ok(), serde_json::from_str(&text).ok());
            let (ours, serdes) = (whole(ours), whole(serdes));
            // Ours may leave what is odd to serde.
            assert!(ours == serdes || ours.is_none() && to.contains("null"), "{text}");
        }
    }

    #[test]
    fn an_object_that_cannot_be_read_leaves_the_envelope_readable() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let body = REVIEW.replace(r#"{"spec": 1}"#, &deep);
        let arena = Arena::default();
        let request = read(body.as_bytes(), &arena).unwrap();
        assert_eq!(&*request.uid, "u-1");
        assert!(request.object.tree().is_err());
    }

    #[test]
    fn says_what_is_wrong_with_an_envelope_and_quotes_nothing() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "it ends too early"),
            (b"{\"apiVersion\": hunter-two-9", "not valid JSON"),
            (b"\"hunter-two-9\"", "wrong type"),
            (b"{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\"}", "v1beta1"),
            (b"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}", "no request"),
            (b"\xff\xfe", "UTF-8"),
            (b"{}", "no apiVersion and kind"),
            (b"[]", "no apiVersion and kind"),
            (b"{\"apiVersion\":\"v9\",\"kind\":\"A\\nB\\u001b[2J\"}", "cannot answer A\\u{a}B\\u{1b}[2J of v9: send"),
        ];
        for (body, expected) in cases {
            let error = read(body, &Arena::default()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn a_patch_is_base64_text_and_a_refusal_is_403() {
        let response = Response { patch: Some("[]"), ..Response::default() };
        let wire: serde_json::Value = serde_json::from_slice(&response.encode("u-1")).unwrap();
        assert_eq!(
            wire["response"],
            serde_json::json!({"uid": "u-1", "allowed": true, "patchType": "JSONPatch", "patch": "W10="})
        );

        let refusal = Refusal { message: "no".into(), causes: vec![] };
        let wire: serde_json::Value =
            serde_json::from_slice(&Response { refusal: Some(refusal), ..Response::default() }.encode("u-2")).unwrap();
        assert_eq!(wire["response"]["status"]["code"], 403);
        assert_eq!(wire["response"]["allowed"], false);
    }
}
