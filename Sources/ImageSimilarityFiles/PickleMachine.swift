/// The stack machine that a pickle is a program for.
///
/// Each instruction adds at most one value, so the limit on instructions limits memory too.
struct PickleMachine {
  /// A tensor takes about 40 instructions.
  static let maximumInstructions = 1 << 20
  static let maximumNameLength = 1000
  static let dictionaryName = "collections.OrderedDict"

  private enum Opcode: UInt8 {
    case mark = 0x28
    case stop = 0x2e
    case pop = 0x30
    case popMark = 0x31
    case duplicate = 0x32
    case proto = 0x80
    case frame = 0x95
    case none = 0x4e
    case newTrue = 0x88
    case newFalse = 0x89
    case binInt = 0x4a
    case binInt1 = 0x4b
    case binInt2 = 0x4d
    case long1 = 0x8a
    case long4 = 0x8b
    case binFloat = 0x47
    case binString = 0x54
    case shortBinString = 0x55
    case binUnicode = 0x58
    case shortBinUnicode = 0x8c
    case binUnicode8 = 0x8d
    case binBytes = 0x42
    case shortBinBytes = 0x43
    case binBytes8 = 0x8e
    case emptyTuple = 0x29
    case tuple = 0x74
    case tuple1 = 0x85
    case tuple2 = 0x86
    case tuple3 = 0x87
    case emptyList = 0x5d
    case list = 0x6c
    case append = 0x61
    case appends = 0x65
    case emptyDictionary = 0x7d
    case dictionary = 0x64
    case setItem = 0x73
    case setItems = 0x75
    case global = 0x63
    case stackGlobal = 0x93
    case reduce = 0x52
    case newObject = 0x81
    case build = 0x62
    case binPersistentID = 0x51
    case binPut = 0x71
    case longBinPut = 0x72
    case memoize = 0x94
    case binGet = 0x68
    case longBinGet = 0x6a
  }

  private let globals: Set<String>
  private(set) var objects: [Pickle.Object] = []
  private var stack: [Pickle.Value] = []
  private var marks: [Int] = []
  private var memo: [Int: Pickle.Value] = [:]

  init(globals: Set<String>) { self.globals = globals }

  mutating func run(_ reader: inout ByteReader) throws(FormatFailure) -> Pickle.Value {
    for _ in 0..<Self.maximumInstructions {
      let byte = try reader.integer(UInt8.self)
      guard let opcode = Opcode(rawValue: byte) else {
        throw FormatFailure(
          "its pickle has the unknown instruction 0x\(String(byte, radix: 16)) at byte \(reader.position - 1)")
      }
      if opcode == .stop { return try pop() }
      try execute(opcode, &reader)
    }
    throw FormatFailure("its pickle has more than \(Self.maximumInstructions) instructions")
  }

  private mutating func execute(_ opcode: Opcode, _ reader: inout ByteReader) throws(FormatFailure) {
    switch opcode {
    case .stop: break
    case .proto: _ = try reader.skip(1)
    case .frame: _ = try reader.skip(8)

    case .mark: marks.append(stack.count)
    case .pop: _ = try pop()
    case .popMark: _ = try popToMark()
    case .duplicate: stack.append(try top())

    case .none: stack.append(.none)
    case .newTrue: stack.append(.boolean(true))
    case .newFalse: stack.append(.boolean(false))
    case .binInt: stack.append(.integer(Int(try reader.integer(Int32.self))))
    case .binInt1: stack.append(.integer(Int(try reader.integer(UInt8.self))))
    case .binInt2: stack.append(.integer(Int(try reader.integer(UInt16.self))))
    case .long1: try pushLong(&reader, byteCount: reader.count(UInt8.self))
    case .long4: try pushLong(&reader, byteCount: reader.count(UInt32.self))
    case .binFloat: try pushOpaque(&reader, byteCount: 8)

    case .shortBinString, .shortBinUnicode: try pushString(&reader, byteCount: reader.count(UInt8.self))
    case .binString, .binUnicode: try pushString(&reader, byteCount: reader.count(UInt32.self))
    case .binUnicode8: try pushString(&reader, byteCount: reader.count(UInt64.self))
    case .shortBinBytes: try pushOpaque(&reader, byteCount: reader.count(UInt8.self))
    case .binBytes: try pushOpaque(&reader, byteCount: reader.count(UInt32.self))
    case .binBytes8: try pushOpaque(&reader, byteCount: reader.count(UInt64.self))

    case .emptyTuple: push(.tuple([]))
    case .tuple: push(.tuple(try popToMark()))
    case .tuple1: push(.tuple(try pop(1)))
    case .tuple2: push(.tuple(try pop(2)))
    case .tuple3: push(.tuple(try pop(3)))
    case .emptyList: push(.list([]))
    case .list: push(.list(try popToMark()))
    case .append: try appendToList(try pop(1))
    case .appends: try appendToList(try popToMark())
    case .emptyDictionary: push(.dictionary([]))
    case .dictionary: push(.dictionary(try pairs(try popToMark())))
    case .setItem: try setItems(try pop(2))
    case .setItems: try setItems(try popToMark())

    case .global:
      try pushGlobal(
        module: text(reader.line(limit: Self.maximumNameLength)),
        name: text(reader.line(limit: Self.maximumNameLength)))
    case .stackGlobal:
      let names = try pop(2)
      guard let module = names[0].string, let name = names[1].string else { throw Self.misuse }
      try pushGlobal(module: module, name: name)
    case .reduce, .newObject:
      let operands = try pop(2)
      try pushCall(operands[0], arguments: operands[1])
    case .build:
      // The attributes of an object, such as a state dictionary's `_metadata`: nothing that a tensor depends on.
      _ = try pop()
      _ = try top()
    case .binPersistentID:
      guard case .object(let index) = try pop(), case .tuple(let id) = objects[index] else { throw Self.misuse }
      push(.persistent(id))

    case .binPut: memo[try reader.count(UInt8.self)] = try top()
    case .longBinPut: memo[try reader.count(UInt32.self)] = try top()
    case .memoize: memo[memo.count] = try top()
    case .binGet: try pushMemo(reader.count(UInt8.self))
    case .longBinGet: try pushMemo(reader.count(UInt32.self))
    }
  }

  private static let misuse = FormatFailure("its pickle is damaged: an instruction finds operands that do not suit it")

  // MARK: Stack

  private mutating func push(_ object: Pickle.Object) {
    stack.append(.object(objects.count))
    objects.append(object)
  }

  /// The values below the last mark belong to whoever set it.
  private var available: Int { stack.count - (marks.last ?? 0) }

  private func top() throws(FormatFailure) -> Pickle.Value {
    guard available > 0, let value = stack.last else { throw Self.misuse }
    return value
  }

  private mutating func pop() throws(FormatFailure) -> Pickle.Value {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func pop(_ count: Int) throws(FormatFailure) -> [Pickle.Value] {
    guard available >= count else { throw Self.misuse }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(FormatFailure) -> [Pickle.Value] {
    let count = available
    guard marks.popLast() != nil else { throw Self.misuse }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func pushMemo(_ index: Int) throws(FormatFailure) {
    guard let value = memo[index] else { throw Self.misuse }
    stack.append(value)
  }

  // MARK: Atoms

  /// A little-endian integer in two's complement; those of more than 64 bits are not needed.
  private mutating func pushLong(_ reader: inout ByteReader, byteCount: Int) throws(FormatFailure) {
    guard byteCount <= 8 else { return try pushOpaque(&reader, byteCount: byteCount) }
    var value = 0
    for (index, byte) in try reader.bytes(byteCount).enumerated() {
      let isLast = index == byteCount - 1
      value |= (isLast ? Int(Int8(bitPattern: byte)) : Int(byte)) << (8 * index)
    }
    stack.append(.integer(value))
  }

  private mutating func pushOpaque(_ reader: inout ByteReader, byteCount: Int) throws(FormatFailure) {
    _ = try reader.skip(byteCount)
    stack.append(.opaque)
  }

  private mutating func pushString(_ reader: inout ByteReader, byteCount: Int) throws(FormatFailure) {
    stack.append(.string(try text(reader.bytes(byteCount))))
  }

  private func text(_ bytes: [UInt8]) throws(FormatFailure) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FormatFailure("its pickle has a string that is not UTF-8")
    }
    return text
  }

  // MARK: Containers

  private mutating func appendToList(_ items: [Pickle.Value]) throws(FormatFailure) {
    guard case .object(let index) = try top(), case .list(var list) = objects[index] else { throw Self.misuse }
    objects[index] = .list([])  // The array must have one owner, or each append would copy it.
    list.append(contentsOf: items)
    objects[index] = .list(list)
  }

  private mutating func setItems(_ items: [Pickle.Value]) throws(FormatFailure) {
    guard case .object(let index) = try top(), case .dictionary(var dictionary) = objects[index] else {
      throw Self.misuse
    }
    objects[index] = .dictionary([])
    dictionary.append(contentsOf: try pairs(items))
    objects[index] = .dictionary(dictionary)
  }

  private func pairs(_ items: [Pickle.Value]) throws(FormatFailure) -> [(key: Pickle.Value, value: Pickle.Value)] {
    guard items.count.isMultiple(of: 2) else { throw Self.misuse }
    return stride(from: 0, to: items.count, by: 2).map { (items[$0], items[$0 + 1]) }
  }

  // MARK: Names and calls

  private mutating func pushGlobal(module: String, name: String) throws(FormatFailure) {
    let global = "\(module).\(name)"
    guard globals.contains(global) else {
      throw FormatFailure("it wants to load \(quoted(global)), which is refused: only tensors are read")
    }
    stack.append(.global(global))
  }

  private mutating func pushCall(_ function: Pickle.Value, arguments: Pickle.Value) throws(FormatFailure) {
    guard case .global(let function) = function, case .object(let index) = arguments,
      case .tuple(let arguments) = objects[index]
    else { throw Self.misuse }
    if function == Self.dictionaryName {
      push(.dictionary(try orderedDictionary(arguments)))
    } else {
      push(.call(function: function, arguments: arguments))
    }
  }

  /// Python 3 makes an empty dictionary and sets its items; Python 2 gives a list of pairs.
  private func orderedDictionary(
    _ arguments: [Pickle.Value]
  ) throws(FormatFailure) -> [(key: Pickle.Value, value: Pickle.Value)] {
    guard let argument = arguments.first else { return [] }
    guard arguments.count == 1, case .object(let index) = argument, case .list(let items) = objects[index] else {
      throw Self.misuse
    }
    var pairs: [(key: Pickle.Value, value: Pickle.Value)] = []
    for item in items {
      guard case .object(let index) = item else { throw Self.misuse }
      switch objects[index] {
      case .list(let pair) where pair.count == 2, .tuple(let pair) where pair.count == 2:
        pairs.append((pair[0], pair[1]))
      default: throw Self.misuse
      }
    }
    return pairs
  }
}
