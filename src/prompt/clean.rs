//! How OpenAI's CLIP, open_clip and A1111 clean a prompt before it is tokenized: ftfy's `fix_text`, small letters, single
//! blanks. <https://ftfy.readthedocs.io/en/latest/config.html>
//!
//! Of ftfy everything is here but its guess at text that was decoded wrongly (`fix_encoding`). Transformers' tokenizers
//! without ftfy, and so diffusers, do none of this.

/// A prompt without A1111's comments: from `#` to the end of its line.
pub fn without_comments(prompt: &str) -> String {
    let kept = prompt.split('\n').map(|line| line.split('#').next().unwrap_or_default());
    kept.collect::<Vec<_>>().join("\n")
}

/// Cleans a text in one pass.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    let mut entity: Option<char> = None;
    while let Some(c) =
        entity.take().or_else(|| rest.chars().next().inspect(|c| rest = &rest[c.len_utf8()..]))
    {
        match c {
            // What `&amp;` stands for may begin another.
            '&' => match entity_of(rest) {
                Some((named, length)) => (entity, rest) = (Some(named), &rest[length..]),
                None => cleaned.push('&'),
            },
            '\x1b' => rest = &rest[escape(rest).unwrap_or(0)..],
            _ => push(&mut cleaned, c),
        }
    }
    cleaned.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A character as plainer ones: ligatures apart, wide ones narrow, quotes straight, control characters gone.
fn push(out: &mut String, c: char) {
    match c {
        '\u{0}'..='\u{8}'
        | '\u{b}'
        | '\u{e}'..='\u{1f}'
        | '\u{7f}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}' => {}
        '\u{fff9}'..='\u{fffc}' => {}
        // Letters of Windows-1252 that were read as Latin-1.
        '\u{80}'..='\u{9f}' => out.push(WINDOWS_1252[c as usize - 0x80]),
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
        '\u{201c}'..='\u{201f}' => out.push('"'),
        '\u{3000}' => out.push(' '),
        '\u{ff01}'..='\u{ff5e}' => out.extend(char::from_u32(c as u32 - 0xfee0)),
        '\u{ff5f}'..='\u{ffef}' => {
            let mut narrow = tokenizers::NormalizedString::from(c.to_string());
            out.push_str(narrow.nfkc().get());
        }
        _ => match LIGATURES.iter().find(|(ligature, _)| *ligature == c) {
            Some((_, letters)) => out.push_str(letters),
            None => out.push(c),
        },
    }
}

const LIGATURES: [(char, &str); 22] = [
    ('Ĳ', "IJ"),
    ('ĳ', "ij"),
    ('ŉ', "ʼn"),
    ('Ǳ', "DZ"),
    ('ǲ', "Dz"),
    ('ǳ', "dz"),
    ('Ǆ', "DŽ"),
    ('ǅ', "Dž"),
    ('ǆ', "dž"),
    ('Ǉ', "LJ"),
    ('ǈ', "Lj"),
    ('ǉ', "lj"),
    ('Ǌ', "NJ"),
    ('ǋ', "Nj"),
    ('ǌ', "nj"),
    ('ﬀ', "ff"),
    ('ﬁ', "fi"),
    ('ﬂ', "fl"),
    ('ﬃ', "ffi"),
    ('ﬄ', "ffl"),
    ('ﬅ', "ſt"),
    ('ﬆ', "st"),
];

/// What Windows-1252 has at 0x80 to 0x9f; where it has nothing, the control character.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '\'', '\'', '"', '"', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// `[…m` and the like after an escape character: a terminal's colours. The length.
fn escape(rest: &str) -> Option<usize> {
    let arguments = rest.strip_prefix('[')?.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
    arguments.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| rest.len() - arguments.len() + 1)
}

/// The HTML entity whose `&` stands before `rest`, and its length: `amp;`, `#233;`, `#xe9;`.
fn entity_of(rest: &str) -> Option<(char, usize)> {
    const LONGEST: usize = 25;
    let end = rest.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = &rest[..end];
    let number = name.strip_prefix('#').and_then(|digits| match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    });
    let named = || {
        let mut pairs = ENTITIES.split_ascii_whitespace();
        let mut pair = || Some((pairs.next()?, pairs.next()?));
        std::iter::from_fn(&mut pair).find(|(known, _)| *known == name).and_then(|(_, c)| c.chars().next())
    };
    let c = match number {
        Some(code) => char::from_u32(code).filter(|c| *c != ';' && *c != '\0'),
        None if name.starts_with('#') => None,
        None if name == "nbsp" => Some('\u{a0}'),
        None => named(),
    };
    Some((c?, end + 1))
}

/// The named entities that people write: those of HTML 3.2, punctuation and common symbols.
/// <https://html.spec.whatwg.org/multipage/named-characters.html>
const ENTITIES: &str = "amp & lt < gt > quot \" apos ' iexcl ¡ cent ¢ pound £ curren ¤ yen ¥ brvbar ¦ sect § uml ¨ copy © \
    ordf ª laquo « not ¬ reg ® macr ¯ deg ° plusmn ± sup2 ² sup3 ³ acute ´ micro µ para ¶ middot · cedil ¸ sup1 ¹ ordm º \
    raquo » frac14 ¼ frac12 ½ frac34 ¾ iquest ¿ Agrave À Aacute Á Acirc Â Atilde Ã Auml Ä Aring Å AElig Æ Ccedil Ç \
    Egrave È Eacute É Ecirc Ê Euml Ë Igrave Ì Iacute Í Icirc Î Iuml Ï ETH Ð Ntilde Ñ Ograve Ò Oacute Ó Ocirc Ô Otilde Õ \
    Ouml Ö times × Oslash Ø Ugrave Ù Uacute Ú Ucirc Û Uuml Ü Yacute Ý THORN Þ szlig ß agrave à aacute á acirc â atilde ã \
    auml ä aring å aelig æ ccedil ç egrave è eacute é ecirc ê euml ë igrave ì iacute í icirc î iuml ï eth ð ntilde ñ \
    ograve ò oacute ó ocirc ô otilde õ ouml ö divide ÷ oslash ø ugrave ù uacute ú ucirc û uuml ü yacute ý thorn þ yuml ÿ \
    OElig Œ oelig œ Scaron Š scaron š Yuml Ÿ ndash – mdash — lsquo ‘ rsquo ’ sbquo ‚ ldquo “ rdquo ” bdquo „ dagger † \
    Dagger ‡ bull • hellip … permil ‰ prime ′ Prime ″ lsaquo ‹ rsaquo › euro € trade ™ larr ← uarr ↑ rarr → darr ↓ \
    hearts ♥ spades ♠ clubs ♣ diams ♦ infin ∞ ne ≠ le ≤ ge ≥ minus − radic √";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The texts that ftfy and `html.unescape` make of these, in small letters.
    #[test]
    fn as_original_clip() {
        for (text, expected) in [
            ("it’s a dog’s life", "it's a dog's life"),
            ("中文，测试。", "中文,测试。"),
            ("ＡＢＣ　ｘ", "abc x"),
            ("&amp;", "&"),
            (
                "&amp;amp;lt; &#233;&#xE9; &eacute;&Eacute; &nbsp; &nosuch; AT&T & &#59; &#;",
                "< éé éé &nosuch; at&t & &#59; &#;",
            ),
            ("ﬁne ﬀ Ĳ", "fine ff ij"),
            ("“quoted” ‘x‛ „low“", "\"quoted\" 'x' \"low\""),
            ("\u{feff}bom", "bom"),
            ("<|EndOfText|> cat", "<|endoftext|> cat"),
            ("a \t\n b\u{2028}c\u{a0}d ", "a b c d"),
            ("\u{93}hi\u{94} 5\u{80} a\u{85}", "\"hi\" 5€ a…"),
            ("\u{1b}[31;1mred\u{1b}[0m \u{1b}x \u{7}bell", "red x bell"),
            ("ｶﾞｷﾞ ｱ", "カ\u{3099}キ\u{3099} ア"),
            ("ΟΔΟΣ", "οδος"),
            ("", ""),
            ("&", "&"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_cleaned_once(text in "(\\PC|[&#;a-z0-9\u{1b}\\[\u{80}-\u{9f}]|&amp;){0,60}") {
            let once = clean(&text);
            prop_assert!(!once.contains("  ") && once.trim() == once);
        }
    }
}
