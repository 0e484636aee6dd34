//! No bytes make the crate panic, and its two views of a body agree: what the splitter cuts out is exactly one root
//! element to the reader.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{samples, strategy};
use crate::reader::read;
use crate::tree::Tree;
use crate::*;

fn tree(signed: &[u8]) -> Option<Tree<'_>> {
    let mut tree = Tree::default();
    read(signed, &Profile::default(), &mut tree).ok().map(|()| tree)
}

/// Feeds a body to everything that takes bytes.
fn digest(body: &[u8]) {
    let profile = Profile::default();
    let _ = read_partial_header(body, &profile);
    let _ = read_request(body, &profile);
    let _ = read_answer(body, &profile);
    let Ok(frame) = split(body) else { return };
    let (signed, signature) = (frame.signed(), frame.signature());
    assert!(signed.starts_with(b"<root") && signed.ends_with(b"</root>"));
    assert_eq!(body.windows(signed.len()).filter(|window| *window == signed).count(), 1);
    let _ = read_request(signed, &profile);
    let _ = read_answer(signed, &profile);
    if let Some(tree) = tree(signed) {
        assert_eq!(tree.nodes.iter().filter(|node| node.name == "root").count(), 1);
    }
    // put together again, the same parts come out
    let root = std::str::from_utf8(signed).unwrap();
    let again = assemble(root, signature);
    let again = split(&again).unwrap();
    assert_eq!((again.signed(), again.signature()), (signed, signature));
}

/// Pieces that steer a parser.
const PIECES: [&str; 34] = [
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<root>",
    "</root>",
    "<root/>",
    "<root ",
    "</root",
    "<rootX>",
    "</rootX>",
    "<MsgHeader>",
    "</MsgHeader>",
    "<MsgBody>",
    "</MsgBody>",
    "<a>",
    "</a>",
    "<a/>",
    "<",
    ">",
    "/",
    "\"",
    "'",
    "=",
    "&",
    ";",
    "&amp;",
    "&#x41;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [",
    "{S:",
    "}",
    "AQID",
    " ",
];

fn bodies() -> Vec<Vec<u8>> {
    let requests = samples::requests().map(|request| request.write(&samples::request_header(&request)));
    let answers = samples::answers().map(|(_, answer)| answer.write(&samples::answer_header(&answer)));
    requests
        .iter()
        .chain(&answers)
        .map(|root| assemble(root, &[7; 64]))
        .collect()
}

#[derive(Debug, Clone)]
enum Mutation {
    Replace(Index, u8),
    Remove(Index, Index),
    Insert(Index, &'static str),
    Repeat(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Remove(from, to)),
        (any::<Index>(), select(&PIECES[..])).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

fn mutate(body: &mut Vec<u8>, mutation: &Mutation) {
    if body.is_empty() {
        return;
    }
    let span = |from: &Index, to: &Index| {
        let (from, to) = (from.index(body.len()), to.index(body.len()));
        from.min(to)..from.max(to)
    };
    match mutation {
        Mutation::Replace(at, byte) => {
            let at = at.index(body.len());
            body[at] = *byte;
        }
        Mutation::Remove(from, to) => {
            body.drain(span(from, to));
        }
        Mutation::Insert(at, piece) => {
            let at = at.index(body.len());
            body.splice(at..at, piece.bytes());
        }
        Mutation::Repeat(from, to) => {
            let copied = body[span(from, to)].to_vec();
            let at = span(from, to).end;
            body.splice(at..at, copied);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes(body in vec(any::<u8>(), 0..300)) {
        digest(&body);
    }

    #[test]
    fn arbitrary_pieces(pieces in vec(select(&PIECES[..]), 0..60)) {
        digest(pieces.concat().as_bytes());
    }

    #[test]
    fn arbitrary_pieces_in_a_frame(pieces in vec(select(&PIECES[..]), 0..12)) {
        digest(&assemble(&format!("<root>{}</root>", pieces.concat()), b"signature"));
    }

    #[test]
    fn mutated_messages(which in any::<Index>(), mutations in vec(mutation(), 1..5)) {
        let mut body = which.get(&bodies()).clone();
        for mutation in &mutations {
            mutate(&mut body, mutation);
        }
        digest(&body);
    }

    /// The slice the splitter found is the same elements as the root that was put in.
    #[test]
    fn the_slice_is_the_root(request in strategy::request(), header in strategy::header("22"), space in "[ \r\n\t]{0,5}") {
        let root = request.write(&header);
        let body = String::from_utf8(assemble(&root, b"signature")).unwrap();
        let body = body.replace("?><root", &format!("?>{space}<root")).replace("</root>{S", &format!("</root>{space}{{S"));
        let frame = split(body.as_bytes()).unwrap();
        prop_assert_eq!(tree(frame.signed()), tree(root.as_bytes()));
        prop_assert!(tree(root.as_bytes()).is_some());
    }
}
