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

const BEFORE: &str = concat!(
    "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>",
    r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">"#,
    r#"<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" "#,
    r#"Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/"#,
);
const AFTER: &str = r#""/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>"#;
