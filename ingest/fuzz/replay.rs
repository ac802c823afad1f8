//! Replays the fuzzer's corpus, byte for byte and cut short, so that what it once found stays found.

mod targets;

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for target in targets::TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(target)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            let data = fs::read(&path).unwrap();
            targets::run(target, &data);
            targets::run(target, &data[..data.len() / 2]);
            targets::run(target, &[&data[..], &data].concat());
            inputs += 1;
        }
        assert!(inputs > 0, "{target} has no corpus");
    }
}
