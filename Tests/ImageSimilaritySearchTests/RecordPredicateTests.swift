import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

@Suite struct RecordPredicateTests {
  private let record = ImageRecord(
    id: "cats/tabby.jpg", path: "/photos/cats/tabby.jpg", label: "cat",
    metadata: [
      "year": 2020, "score": 0.5, "sharp": true, "code": "007", "nothing": .null, "tags": ["red", "blue", 7],
      "camera": ["make": "Fuji", "a.b": 1], "text": "say \"it's\"", "in": "reserved", "id": "inner",
    ])

  @Test(arguments: [
    ("label=cat", true), ("label = 'cat'", true), ("label == \"cat\"", true), ("label=dog", false),
    ("label!=dog", true), ("label!=cat", false), ("id=cats/tabby.jpg", true), ("path~*/cats/*.jpg", true),
    ("id~*.png", false), ("id~cats", false), ("id~cats/?abby.jp?", true), ("id~*", true), ("id~''", false),
    // A number is a number, a text a text.
    ("year=2020", true), ("metadata.year=2020.0", true), ("year=2.02e3", true), ("year>=2020", true),
    ("year>2020", false), ("year<10000", true), ("year<=2019.5", false), ("year='2020'", true), ("year=cat", false),
    ("year!=cat", true), ("year<cat", false), ("year~20*", true), ("score~.5", false), ("score~0.5", true),
    ("code=7", false), ("code=007", true), ("code<1", true), ("label>=c and label<d", true),
    ("year<0x7ff", false), ("year<inf", false), ("sharp=true", true), ("sharp=false", false), ("sharp=1", false),
    ("sharp<z", false),
    // Arrays by element, objects by path.
    ("tags=red", true), ("tags=7", true), ("tags=green", false), ("tags!=red", false), ("tags!=green", true),
    ("tags~b*", true), ("camera.make=Fuji", true), ("camera.'a.b'=1", true), ("camera=Fuji", false),
    ("has(camera)", true), ("has(camera.lens)", false), ("label.x=cat", nil),
    // What is missing.
    ("missing=1", false), ("missing!=1", true), ("not missing=1", true), ("missing<1", false), ("missing~*", false),
    ("has(missing)", false), ("has(nothing)", false), ("nothing!=1", true), ("has(missing) and missing!=1", false),
    ("in='reserved'", nil), ("'in'=reserved", true), ("'id'=inner", true), ("metadata.id=inner", true),
    ("text='say \"it\\'s\"'", true),
    // Lists and combinations.
    ("label in (dog, cat)", true), ("label in ()", false), ("year in (2019,2020)", true), ("label IN (dog)", false),
    ("label=dog or label=cat and year=2020", true), ("(label=cat or label=dog) and year=1", false),
    ("label=cat or label=dog and year=1", true), ("not label=dog and year=2020", true),
    ("not (label=cat and year=2020)", false), ("not not label=cat", true), (" ( ( label = cat ) ) ", true),
    ("label=cat AND NOT has(missing)", true),
  ])
  func table(_ text: String, _ expected: Bool?) throws {
    guard let expected else {
      #expect(throws: SimilarityError.self) { try RecordPredicate(parsing: text) }
      return
    }
    let predicate = try RecordPredicate(parsing: text)
    #expect(predicate.matches(record) == expected)
    #expect(try RecordPredicate(parsing: predicate.description) == predicate, "\(predicate)")
  }

  @Test func missingPathAndLabel() throws {
    let bare = ImageRecord(id: "a")
    for text in ["has(label)", "has(path)", "has(year)", "label=cat", "path~*"] {
      #expect(try !RecordPredicate(parsing: text).matches(bare), "\(text)")
    }
    #expect(try RecordPredicate(parsing: "label!=cat").matches(bare))
  }

  @Test func builders() throws {
    let cases: [(RecordPredicate, String)] = [
      (RecordField.label == "cat", "label = cat"), (RecordField.id != "a b", "id != \"a b\""),
      (RecordField.metadata("year") >= 2020, "metadata.year >= 2020"),
      (RecordField.metadata("a", "b.c") < 0.5, "metadata.a.\"b.c\" < 0.5"),
      (RecordField.metadata("sharp") == true, "metadata.sharp = true"),
      (RecordField.label.isIn(["a", "or"]), "label in (a, \"or\")"), (RecordField.label.isIn([]), "label in ()"),
      (RecordField.path.matches("*.jpg"), "path ~ *.jpg"), (!RecordField.label.exists, "not has(label)"),
      (
        RecordField.label == "a" && (RecordField.label == "b" || !(RecordField.id > "c" && RecordField.id <= "d")),
        "label = a and (label = b or not (id > c and id <= d))"
      ),
      (RecordField.label == "", "label = \"\""), (RecordField.label == "a\n\"\\", "label = \"a\\n\\\"\\\\\""),
    ]
    for (predicate, text) in cases {
      #expect(predicate.description == text)
      #expect(try RecordPredicate(parsing: text) == predicate)
    }
  }

  @Test(arguments: [
    ("", "expected a field at character 1; found the end of the condition"),
    ("label", "expected one of = != < <= > >= ~ in at character 6; found the end of the condition"),
    ("label =", "expected a value at character 8; found the end of the condition"),
    ("label = 'cat", "expected the closing ' at character 13; found the end of the condition"),
    ("label = cat year", "expected 'and', 'or' or the end at character 13; found \"year\""),
    ("(label = cat", "expected ')' at character 13; found the end of the condition"),
    ("label in (a b)", "expected ',' or ')' at character 13; found \"b)\""),
    ("label = and", "expected a value, which is quoted where it is 'and', at character 9; found \"and\""),
    ("metadata = 1", "expected '.' and a key of the metadata at character 9; found \" = 1\""),
    ("a. = 1", "expected a key at character 3; found \" = 1\""),
    (
      "a = '\\x'", "expected one of the escapes \\\\ \\' \\\" \\n \\r \\t at character 6; found \"\\\\x\\'\""
    ),
    ("has label", "expected '(' at character 5; found \"label\""),
  ])
  func errorsNameThePlace(_ text: String, _ message: String) {
    let error = #expect(throws: SimilarityError.self) { try RecordPredicate(parsing: text) }
    #expect(error?.code == .invalidArgument && error?.message == message)
  }

  @Test func depthIsBounded() throws {
    for hostile in ["(", "not ", "not(", "has("] {
      #expect(throws: SimilarityError.self) { try RecordPredicate(parsing: String(repeating: hostile, count: 100_000)) }
    }
    let deepest = String(repeating: "not ", count: 63) + "id = a"
    #expect(try !RecordPredicate(parsing: deepest).matches(ImageRecord(id: "a")))
    #expect(throws: SimilarityError.self) { try RecordPredicate(parsing: "not " + deepest) }
    // Long is not deep.
    let long = Array(repeating: "id = b", count: 20_000).joined(separator: " or ")
    let predicate = try RecordPredicate(parsing: long + " or id = a")
    #expect(predicate.matches(ImageRecord(id: "a")) && !predicate.matches(ImageRecord(id: "c")))
  }

  @Test func patternsFromStrangersEnd() throws {
    let pattern = String(repeating: "*a", count: 1000) + "b"
    let predicate = RecordField.id.matches(pattern)
    #expect(!predicate.matches(ImageRecord(id: String(repeating: "a", count: 5000))))
    #expect(predicate.matches(ImageRecord(id: String(repeating: "a", count: 1000) + "b")))
    let naive = { (pattern: [Character], text: [Character]) in Self.glob(pattern[...], text[...]) }
    var random = SplitMix64(seed: 5)
    for _ in 0..<5000 {
      let pattern = (0..<random.integer(7)).map { _ in Array("ab*?")[Int(random.integer(4))] }
      let text = (0..<random.integer(8)).map { _ in Array("ab")[Int(random.integer(2))] }
      let found = RecordField.id.matches(String(pattern)).matches(ImageRecord(id: String(text)))
      #expect(found == naive(pattern, text), "\(String(pattern)) \(String(text))")
    }
  }

  private static func glob(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
    guard let first = pattern.first else { return text.isEmpty }
    if first == "*" {
      return glob(pattern.dropFirst(), text) || !text.isEmpty && glob(pattern, text.dropFirst())
    }
    return !text.isEmpty && (first == "?" || first == text.first) && glob(pattern.dropFirst(), text.dropFirst())
  }

  /// Any bytes are refused or read as a predicate whose description means the same.
  @Test func mutations() {
    let seeds = [
      "label = cat and metadata.year >= 2020", "not (has(a.b) or path ~ '*.jp?')",
      "x in (1, 'b', \"\\n\") or id != \"é\"",
    ]
    var random = SplitMix64(seed: 11)
    for round in 0..<20_000 {
      var bytes = Array(seeds[round % seeds.count].utf8)
      for _ in 0...random.integer(3) {
        let at = Int(random.integer(UInt64(bytes.count)))
        let other = Array(" ()'\"\\=!<>~,.".utf8)[Int(random.integer(13))]
        if random.integer(2) == 0 { bytes[at] = other } else { bytes.insert(UInt8(random.integer(256)), at: at) }
      }
      guard let predicate = try? RecordPredicate(parsing: String(decoding: bytes, as: UTF8.self)) else { continue }
      #expect((try? RecordPredicate(parsing: predicate.description)) == predicate, "\(predicate)")
    }
  }
}
