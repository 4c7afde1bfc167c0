//! NovelAI's settings and brackets.

use super::super::{Fields, Settings, number, text_of};

/// Takes what is its own.
pub fn novel_ai(fields: &Fields, settings: &mut Settings) -> &'static [&'static str] {
    let from_words = text_of(fields, &["request_type"]).is_none_or(|kind| kind == "PromptGenerateRequest");
    if !from_words {
        settings.take_strength(number(fields, "strength"));
    }
    &[
        "strength",
        "hide_debug_overlay",
        "legacy",
        "legacy_v3_extend",
        "controlnet_strength",
        "dynamic_thresholding_percentile",
        "dynamic_thresholding_mimic_scale",
        "uncond_scale",
        "cfg_sched_eligibility",
        "explike_fine_detail",
        "minimize_sigma_inf",
        "uncond_per_vibe",
        "wonky_vibe_correlation",
        "deliberate_euler_ancestral_bug",
        "prefer_brownian",
    ]
}

/// NovelAI's brackets as A1111's: curly ones multiply by 1.05, square ones divide by it; round ones are text there.
pub fn in_round_brackets(prompt: &str) -> String {
    /// 1.05, and what divides by it.
    const WEIGHTS: [&str; 2] = [":1.05)", ":0.952381)"];
    let mut text = String::with_capacity(prompt.len());
    let mut open = Vec::new();
    for c in prompt.chars() {
        match (c, open.last()) {
            ('{' | '[', _) => {
                open.push(c);
                text.push('(');
            }
            ('}', Some('{')) | (']', Some('[')) => {
                open.pop();
                text.push_str(WEIGHTS[usize::from(c == ']')]);
            }
            ('(' | ')' | '\\', _) => {
                text.push('\\');
                text.push(c);
            }
            ('}' | ']', _) => {}
            _ => text.push(c),
        }
    }
    // What is open at the end weighs to it.
    for c in open.into_iter().rev() {
        text.push_str(WEIGHTS[usize::from(c == '[')]);
    }
    text
}
