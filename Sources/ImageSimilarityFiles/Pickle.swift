/// A pickle of Python objects (PEP 307, PEP 3154) as plain data. Nothing is imported and nothing is called: what a pickle
/// wants called is recorded, and only names from a list may appear.
///
/// Objects lie in one array and refer to each other by index, so that neither cycles nor deep nesting matter.
struct Pickle {
  enum Value {
    case none
    case boolean(Bool)
    case integer(Int)
    case string(String)
    /// A module's member, `module.name`.
    case global(String)
    case object(Int)
    /// A number or bytes that no tensor needs.
    case opaque
  }

  enum Object {
    case tuple([Value])
    case list([Value])
    case dictionary([(key: Value, value: Value)])
    /// What a function would return.
    case call(function: String, arguments: [Value])
    /// An object outside the pickle, by its id.
    case persistent([Value])
  }

  let root: Value
  let objects: [Object]

  /// Reads up to the pickle's end.
  ///
  /// - Parameter globals: the names, `module.name`, that may appear. Of these, `collections.OrderedDict` is a dictionary.
  init(_ reader: inout ByteReader, globals: Set<String>) throws(FormatFailure) {
    var machine = PickleMachine(globals: globals)
    root = try machine.run(&reader)
    objects = machine.objects
  }

  func tuple(_ value: Value) -> [Value]? {
    if case .object(let index) = value, case .tuple(let items) = objects[index] { items } else { nil }
  }

  func list(_ value: Value) -> [Value]? {
    if case .object(let index) = value, case .list(let items) = objects[index] { items } else { nil }
  }

  func dictionary(_ value: Value) -> [(key: Value, value: Value)]? {
    if case .object(let index) = value, case .dictionary(let items) = objects[index] { items } else { nil }
  }

  func call(_ value: Value) -> (function: String, arguments: [Value])? {
    guard case .object(let index) = value, case .call(let function, let arguments) = objects[index] else { return nil }
    return (function, arguments)
  }

  func persistent(_ value: Value) -> [Value]? {
    if case .object(let index) = value, case .persistent(let id) = objects[index] { id } else { nil }
  }
}

extension Pickle.Value {
  var string: String? { if case .string(let string) = self { string } else { nil } }
  var integer: Int? { if case .integer(let integer) = self { integer } else { nil } }
}
