//! Writes `ts/ops/generated/rows.ts` from the table: `npm run gen`.
use pax_abi::manifest::hash;
use pax_core::ops::table;
use pax_core::params::Kind;
use std::fmt::Write;

#[allow(clippy::disallowed_methods)] // a tool of the build, not the engine
fn main() -> std::io::Result<()> {
    let mut out = String::from("// Written by `npm run gen` from the table in crates/pax-core/src/ops. Do not edit.\n");
    out.push_str("import { bindMany, bindOne, type ProgramHandle } from \"../../engine.js\";\n");
    out.push_str("import type { DType, Tensor, TensorLike } from \"../../tensor.js\";\n\n");
    let _ =
        writeln!(out, "/** Hash of the manifest that these functions were written from. */\nexport const MANIFEST_HASH = {};\n", hash());
    for (id, row) in table().iter().enumerate() {
        let variadic = row.variadic();
        let mut args: Vec<String> = Vec::new();
        let mut fixed: Vec<String> = Vec::new();
        let mut rest = None;
        for o in row.operands {
            match o.strip_prefix("...") {
                Some(name) => {
                    args.push(format!("{}: readonly TensorLike[]", camel(name)));
                    rest = Some(camel(name));
                }
                None => {
                    args.push(format!("{}: TensorLike", camel(o)));
                    fixed.push(camel(o));
                }
            }
        }
        for p in row.params {
            args.push(format!("{}: {}", camel(p.name), ts(p.kind)));
        }
        let operands = if variadic {
            format!("[{}]", fixed.into_iter().chain(rest.map(|r| format!("...{r}"))).collect::<Vec<_>>().join(", "))
        } else {
            format!("[{}]", fixed.join(", "))
        };
        let params: Vec<String> = row.params.iter().map(|p| codec(p.kind, &camel(p.name))).collect();
        let (f, result) = if row.many { ("bindMany", "Tensor[]") } else { ("bindOne", "Tensor") };
        let name = if RESERVED.contains(&camel(row.name).as_str()) { format!("{}_", camel(row.name)) } else { camel(row.name) };
        let params = if params.is_empty() { String::new() } else { format!(", [{}]", params.join(", ")) };
        let _ = writeln!(
            out,
            "/** {} */\nexport function {name}({}): {result} {{\n  return {f}({id}, {operands}{params});\n}}\n",
            row.doc,
            args.join(", ")
        );
    }
    std::fs::write(std::env::args().nth(1).unwrap_or_else(|| "ts/ops/generated/rows.ts".into()), out)
}

const RESERVED: &[&str] = &["delete", "new", "default", "in", "var"];

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_string();
    for p in parts {
        out.extend(p.chars().enumerate().map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c }));
    }
    out
}

fn ts(k: Kind) -> String {
    match k {
        Kind::Int | Kind::Float => "number".into(),
        Kind::Ints => "readonly number[]".into(),
        Kind::Bool => "boolean".into(),
        Kind::DType => "DType".into(),
        Kind::Str => "string".into(),
        Kind::Program => "ProgramHandle".into(),
        Kind::Choice(words) => words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(" | "),
    }
}

/// How the function hands a parameter to the codec.
fn codec(k: Kind, name: &str) -> String {
    match k {
        Kind::DType if name == "dtype" => "{ dtype }".into(),
        Kind::DType => format!("{{ dtype: {name} }}"),
        Kind::Choice(words) => format!("[{}].indexOf({name})", words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(", ")),
        _ => name.into(),
    }
}
