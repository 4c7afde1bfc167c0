//! What a picture's file says of where it comes from: that a trained model made it, of words alone or of another picture too.
//! Programs that show or pass pictures on read this mark, whatever else the file says.

/// The keyword of XMP in a PNG, whose text is in an iTXt chunk, uncompressed (XMP Specification Part 3, 1.1.5).
pub const XMP: &str = "XML:com.adobe.xmp";

/// What a model made a picture of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeOf {
    Words,
    /// Words and a picture.
    Picture,
}

impl MadeOf {
    /// An XMP packet with IPTC's digital source type: "created using generative AI"
    /// (<https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia>) or "edited using generative AI"
    /// (<https://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia>).
    pub fn xmp(self) -> String {
        let kind = match self {
            MadeOf::Words => "trainedAlgorithmicMedia",
            MadeOf::Picture => "compositeWithTrainedAlgorithmicMedia",
        };
        format!("{BEFORE}{kind}{AFTER}")
    }
}

/// What an XMP packet has as EXIF's user comment (`exif:UserComment`, a text in one or several languages, of which the first counts).
/// `None` where it has none.
pub fn user_comment(packet: &str) -> Option<String> {
    const NAME: &str = "exif:UserComment";
    let (_, rest) = packet.split_once(&format!("<{NAME}"))?;
    let (inside, _) = rest.split_once('>')?.1.split_once(&format!("</{NAME}>"))?;
    // What lies deepest: `<rdf:Alt><rdf:li xml:lang="x-default">text</rdf:li></rdf:Alt>`.
    let mut texts = inside.split('<').map(|tag| tag.split_once('>').map_or(tag, |(_, text)| text).trim());
    let text = texts.find(|text| !text.is_empty())?;
    Some(without_entities(text))
}

/// XML's five named characters, and those by number.
fn without_entities(text: &str) -> String {
    const NAMED: [(&str, char); 5] = [("quot", '"'), ("apos", '\''), ("lt", '<'), ("gt", '>'), ("amp", '&')];
    const LONGEST: usize = 10;
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let end = after.bytes().take(LONGEST).position(|byte| byte == b';');
        let name = end.map(|end| &after[..end]);
        let named = |name: &str| NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
        let numbered = |name: &str| {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        };
        match name.and_then(|name| named(name).or_else(|| numbered(name))) {
            Some(c) => {
                plain.push(c);
                rest = &after[end.unwrap_or_default() + 1..];
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain + rest
}

const BEFORE: &str = concat!(
    "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>",
    r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">"#,
    r#"<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" "#,
    r#"Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/"#,
);
const AFTER: &str = r#""/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_comment_in_xmp() {
        let packet = |inside: &str| {
            format!("<x:xmpmeta><rdf:RDF><rdf:Description>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>")
        };
        let text = "<exif:UserComment>\n<rdf:Alt><rdf:li xml:lang=\"x-default\">{&quot;c&quot;: &quot;a &lt;b&gt; &#38; &#x41;&amp;lt; &no; &quot;}</rdf:li></rdf:Alt></exif:UserComment>";
        assert_eq!(user_comment(&packet(text)).as_deref(), Some("{\"c\": \"a <b> & A&lt; &no; \"}"));
        assert_eq!(
            user_comment(&packet("<exif:UserComment>plain</exif:UserComment>")).as_deref(),
            Some("plain")
        );
        for broken in [
            "",
            "<exif:UserComment",
            "<exif:UserComment>open",
            "<exif:UserComment></exif:UserComment>",
            "<exif:UserComment/>",
        ] {
            assert_eq!(user_comment(&packet(broken)), None, "{broken}");
        }
        assert_eq!(user_comment(&MadeOf::Words.xmp()), None);
    }
}
