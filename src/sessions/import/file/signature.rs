//! Recognises files that are not CSV or NDJSON by their first bytes, to name what they are.
//!
//! The crate `infer` takes many spreadsheets for plain archives, because it expects their parts in a certain order, and
//! takes some text for a program or a picture.

use super::unreadable_file::UnreadableFile;

/// Archives, by bytes at an offset. None of them can be in a text file there.
const ARCHIVES: [(&str, usize, &[u8]); 16] = [
    ("zip", 0, b"PK\x03\x04"),
    ("zip", 0, b"PK\x05\x06"),
    ("zip", 0, b"PK\x07\x08"),
    ("gzip", 0, b"\x1f\x8b"),
    ("bzip2", 4, b"1AY&SY"),
    ("xz", 0, b"\xfd7zXZ\0"),
    ("zstd", 0, b"\x28\xb5\x2f\xfd"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("rar", 0, b"Rar!\x1a\x07"),
    ("lz4", 0, b"\x04\x22\x4d\x18"),
    ("lzip", 0, b"LZIP\x01"),
    ("compress", 0, b"\x1f\x9d"),
    ("compress", 0, b"\x1f\xa0"),
    ("cab", 0, b"MSCF\0\0\0\0"),
    ("tar", 257, b"ustar\0"),
    ("tar", 257, b"ustar  \0"),
];
/// Old formats of Microsoft Office, also encrypted ones of today.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// The first bytes of other formats that exports come in.
const DOCUMENTS: [(&str, &[u8]); 3] =
    [("a PDF", b"%PDF-"), ("a Parquet file", b"PAR1\x15"), ("an SQLite database", b"SQLite format 3\0")];
/// The beginnings of XML and HTML, in lower case.
const MARKUP: [(&str, &[u8]); 7] = [
    ("XML", b"<?xml"),
    ("HTML", b"<!doctype"),
    ("HTML", b"<html"),
    ("HTML", b"<head"),
    ("HTML", b"<meta"),
    ("HTML", b"<style"),
    ("HTML", b"<table"),
];
/// What spreadsheets write into their XML and HTML.
const SPREADSHEET_MARKUP: [&[u8]; 3] = [b"office:excel", b"office:spreadsheet", b"Excel.Sheet"];
/// Byte order marks of UTF-32. The first also begins with that of UTF-16.
const UTF_32_MARKS: [&[u8]; 2] = [b"\xff\xfe\0\0", b"\0\0\xfe\xff"];

/// What a file with this start is, if it is no CSV and no NDJSON.
pub(crate) fn recognise(start: &[u8]) -> Option<UnreadableFile> {
    if UTF_32_MARKS.iter().any(|mark| start.starts_with(mark)) {
        return Some(UnreadableFile::UnknownEncoding);
    }
    if start.starts_with(OLE) {
        return Some(UnreadableFile::Spreadsheet("xls"));
    }
    recognise_archive(start).or_else(|| recognise_document(start))
}

fn recognise_archive(start: &[u8]) -> Option<UnreadableFile> {
    let is_there =
        |offset: usize, bytes: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(bytes));
    let (name, ..) = ARCHIVES.into_iter().find(|(_, offset, bytes)| is_there(*offset, bytes))?;
    let spreadsheet = if name == "zip" { spreadsheet_in_zip(start) } else { None };
    Some(spreadsheet.map_or(UnreadableFile::Archive(name), UnreadableFile::Spreadsheet))
}

/// The extension of the spreadsheet that this zip is, by the names of the files in it.
fn spreadsheet_in_zip(start: &[u8]) -> Option<&'static str> {
    // The local file header has 30 bytes, then the name. ODF stores its media type in the first file.
    let names = start.windows(4).enumerate().filter(|(_, bytes)| bytes == b"PK\x03\x04");
    let names = names.filter_map(|(at, _)| start.get(at + 30..));
    let extension = |name: &[u8]| match name {
        _ if name.starts_with(b"xl/workbook.bin") => Some("xlsb"),
        _ if name.starts_with(b"xl/") => Some("xlsx"),
        _ if name.starts_with(b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet") => Some("ods"),
        _ if name.starts_with(b"Index/") => Some("numbers"),
        _ => None,
    };
    names.into_iter().find_map(extension)
}

fn recognise_document(start: &[u8]) -> Option<UnreadableFile> {
    if let Some((name, _)) = DOCUMENTS.iter().find(|(_, bytes)| start.starts_with(bytes)) {
        return Some(UnreadableFile::Document(name));
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let begins_with = |tag: &[u8]| text.get(..tag.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(tag));
    let (name, _) = MARKUP.iter().find(|(_, tag)| begins_with(tag))?;
    let is_spreadsheet =
        SPREADSHEET_MARKUP.iter().any(|word| text.windows(word.len()).any(|bytes| bytes == *word));
    Some(if is_spreadsheet { UnreadableFile::Spreadsheet(name) } else { UnreadableFile::Document(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a zip with these files, each of which has no content.
    fn zip(names: &[&str]) -> Vec<u8> {
        let file = |name: &&str| [b"PK\x03\x04".as_slice(), &[0; 26], name.as_bytes()].concat();
        names.iter().flat_map(file).collect()
    }

    #[test]
    fn spreadsheets_are_told_from_archives() {
        for (names, expected) in [
            (
                &["[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"][..],
                UnreadableFile::Spreadsheet("xlsx"),
            ),
            (
                &["[Content_Types].xml", "docProps/app.xml", "docProps/core.xml", "xl/styles.xml"],
                UnreadableFile::Spreadsheet("xlsx"),
            ),
            (&["xl/worksheets/sheet1.xml"], UnreadableFile::Spreadsheet("xlsx")),
            (
                &["mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "content.xml"],
                UnreadableFile::Spreadsheet("ods"),
            ),
            (&["calls.csv", "more/calls.csv"], UnreadableFile::Archive("zip")),
            (&["mimetypeapplication/vnd.oasis.opendocument.text"], UnreadableFile::Archive("zip")),
        ] {
            assert_eq!(recognise(&zip(names)), Some(expected), "{names:?}");
        }
    }

    #[test]
    fn other_files_are_named() {
        let tar = [b"calls.csv".as_slice(), &[0; 248], b"ustar\0"].concat();
        for (start, expected) in [
            (&b"\x1f\x8b\x08\0"[..], UnreadableFile::Archive("gzip")),
            (b"BZh11AY&SY\x01", UnreadableFile::Archive("bzip2")),
            (&tar, UnreadableFile::Archive("tar")),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", UnreadableFile::Spreadsheet("xls")),
            (b"%PDF-1.7", UnreadableFile::Document("a PDF")),
            (b"\xef\xbb\xbf\r\n<!DOCTYPE html>", UnreadableFile::Document("HTML")),
            (
                b"<?xml version='1.0'?><?mso-application progid=\"Excel.Sheet\"?>",
                UnreadableFile::Spreadsheet("XML"),
            ),
            (b"\xff\xfe\0\0a\0\0\0", UnreadableFile::UnknownEncoding),
        ] {
            assert_eq!(recognise(start), Some(expected), "{start:?}");
        }
    }

    #[test]
    fn text_is_not_mistaken_for_another_format() {
        for text in [
            "status,channel",
            "PK,status",
            "BZh,status",
            "Rar!,a",
            "7z,b",
            "<id>,status",
            "{\"a\":1}",
            "PAR1,status",
            "",
            "P",
        ] {
            assert_eq!(recognise(text.as_bytes()), None, "{text}");
        }
        let mustard = format!("{}Mustard on the tie", "x".repeat(256));
        assert_eq!(recognise(mustard.as_bytes()), None);
    }
}
