use super::samples;
use crate::*;
use std::hint::black_box;
fn time<T>(what: &str, mut f: impl FnMut() -> T) {
    for _ in 0..2000 { black_box(f()); }
    let t = std::time::Instant::now();
    for _ in 0..20000 { black_box(f()); }
    println!("{what}: {} ns", t.elapsed().as_nanos() / 20000);
}
#[test]
fn speed() {
    let profile = Profile::default();
    for r in samples::requests() {
        let h = samples::request_header(&r);
        let root = r.write(&h);
        let body = assemble(&root, &[7; 71]);
        println!("{} {} bytes", h.message_type, body.len());
        time("split", || split(black_box(&body)).unwrap());
        let mut t = crate::tree::Tree::default();
        time("tree", || { t.nodes.clear(); crate::reader::read(black_box(root.as_bytes()), &profile, &mut crate::tree::Tree::default()).unwrap() });
        time("read_request", || read_request(black_box(root.as_bytes()), &profile).unwrap());
        time("details", || r.details());
        time("write", || r.write(&h));
        time("assemble", || assemble(&root, &[7; 71]));
    }
    for (n, a) in samples::answers() {
        let h = samples::answer_header(&a);
        time(n, || a.write(&h));
    }
    time("chinatime parse", || "2026-03-02T10:00:00".parse::<ledger_model::ChinaTime>());
    time("trxid parse", || "2026030212345678901234560000001".parse::<ledger_model::TransferId>());
    time("trxid date", || samples::payment().transfer.id.date());
}
