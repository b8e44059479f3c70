/// A pattern in which `*` stands for any characters and `?` for one; it matches whole texts.
struct Glob: Hashable {
  let pattern: String
  private let characters: [Character]

  init(_ pattern: String) {
    self.pattern = pattern
    characters = Array(pattern)
  }

  /// Only the last `*` is ever tried again: what earlier ones have matched can stay, since the last one takes any rest.
  ///
  /// - Complexity: O(`text.count * pattern.count`) time, O(1) memory.
  func matches(_ text: String) -> Bool {
    var position = text.startIndex
    var next = 0
    var retry: (next: Int, position: String.Index)?
    while position < text.endIndex {
      if next < characters.count, characters[next] == "*" {
        next += 1
        retry = (next, position)
      } else if next < characters.count, characters[next] == "?" || characters[next] == text[position] {
        next += 1
        text.formIndex(after: &position)
      } else if let star = retry {
        position = text.index(after: star.position)
        next = star.next
        retry = (next, position)
      } else {
        return false
      }
    }
    return characters[next...].allSatisfy { $0 == "*" }
  }
}
