//! What a binary offers, as text: the facade generates from it and compares its hash when it loads.
use pax_core::ops::table;
use pax_core::params::Kind;

/// One line a row: name, operands, parameters, whether it has many results, documentation.
pub fn manifest() -> String {
    let mut out = String::new();
    for r in table() {
        let params: Vec<String> = r.params.iter().map(|p| format!("{}:{}", p.name, kind(p.kind))).collect();
        out.push_str(&format!(
            "{}\t{}\t{}\t{}\t{}\n",
            r.name,
            r.operands.join(","),
            params.join(","),
            if r.many { "many" } else { "one" },
            r.doc
        ));
    }
    out
}

/// The parameter kind's name; choices as `choice(a|b)`.
pub fn kind(k: Kind) -> String {
    match k {
        Kind::Int => "int".into(),
        Kind::Ints => "ints".into(),
        Kind::Float => "float".into(),
        Kind::Bool => "bool".into(),
        Kind::DType => "dtype".into(),
        Kind::Str => "str".into(),
        Kind::Program => "program".into(),
        Kind::Choice(words) => format!("choice({})", words.join("|")),
    }
}

/// FNV-1a, 32 bits.
pub fn hash() -> u32 {
    manifest().bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}
