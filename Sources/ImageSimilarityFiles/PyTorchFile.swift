/// A storage of a PyTorch file: elements of one type, little-endian.
struct PyTorchStorage {
  let elementType: SafetensorsFile.ElementType
  let elementSize: Int
  let byteRange: Range<Int>
}

/// Reads the state dictionary that `torch.save` wrote, in both of its layouts:
///
/// - since 1.6, a zip archive with the pickle `data.pkl` and one entry for each storage;
/// - before, pickles one after the other (magic number, version, system, object, keys of the storages), then the storages.
///
/// Nothing of it is executed, and only tensors, numbers, strings and containers of them are accepted.
enum PyTorchFile {
  static let zipMagic = Array("PK\u{3}\u{4}".utf8)
  /// Protocol 2, the number 0x1950a86a20f9469cfc6c, and the end of a pickle.
  static let legacyMagic: [UInt8] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
  ]

  private static let storageTypes: [String: SafetensorsFile.ElementType] = [
    "torch.DoubleStorage": .f64, "torch.FloatStorage": .f32, "torch.HalfStorage": .f16, "torch.BFloat16Storage": .bf16,
    "torch.LongStorage": .i64, "torch.IntStorage": .i32, "torch.ShortStorage": .i16, "torch.CharStorage": .i8,
    "torch.ByteStorage": .u8, "torch.BoolStorage": .bool,
  ]
  private static let tensorFunctions = ["torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"]
  private static let parameterFunction = "torch._utils._rebuild_parameter"
  private static let sizeFunction = "torch.Size"
  private static let globals = Set(storageTypes.keys).union(tensorFunctions)
    .union([parameterFunction, sizeFunction, PickleMachine.dictionaryName])

  /// The longest pickle that is read; the tensors themselves are not part of it.
  private static let maximumPickleLength = 1 << 26
  /// Names of a checkpoint's entry that holds the state dictionary.
  private static let wrappers = ["state_dict", "model_state_dict", "model"]
  /// What `DataParallel` puts before all names.
  private static let parallelPrefix = "module."

  static func tensors(zip file: MappedFile) throws(FormatFailure) -> [WeightTensor] {
    let directory = try ZipDirectory(file)
    let suffix = "/data.pkl"
    let candidates = directory.entries.keys.filter {
      $0.hasSuffix(suffix) && $0.dropLast(suffix.count).allSatisfy { $0 != "/" }
    }
    guard let pickleName = candidates.first, candidates.count == 1 else {
      throw FormatFailure(
        "its archive has \(candidates.count) entries */data.pkl; expected one, as torch.save writes it")
    }
    let root = pickleName.dropLast(suffix.count)
    if directory.entries["\(root)/byteorder"] != nil {
      var reader = ByteReader(file, try directory.contents("\(root)/byteorder"))
      guard reader.end - reader.position == 6, try reader.bytes(6) == Array("little".utf8) else {
        throw FormatFailure("its byte order is not little-endian")
      }
    }

    let pickle = try pickle(file, try directory.contents(pickleName)).0
    let entries = try stateDictionary(pickle)
    var storages: [String: PyTorchStorage] = [:]
    for reference in try storageReferences(pickle) {
      let place = try directory.contents("\(root)/data/\(reference.key)")
      guard reference.byteCount <= place.count else {
        throw FormatFailure(
          "storage \(quoted(reference.key)) has \(place.count) bytes; expected \(reference.byteCount)")
      }
      try add(reference, at: place.prefix(reference.byteCount), to: &storages)
    }
    return try tensors(entries, pickle, storages)
  }

  static func tensors(legacy file: MappedFile) throws(FormatFailure) -> [WeightTensor] {
    // The first pickle is the magic number.
    let (version, systemStart) = try pickle(file, legacyMagic.count..<file.count)
    guard version.root.integer == 1001 else { throw FormatFailure("its version is not 1001") }
    let (system, objectStart) = try pickle(file, systemStart..<file.count)
    let isBigEndian = (system.dictionary(system.root) ?? []).contains { key, value in
      if key.string == "little_endian", case .boolean(false) = value { true } else { false }
    }
    guard !isBigEndian else { throw FormatFailure("its byte order is not little-endian") }
    let (object, keysStart) = try pickle(file, objectStart..<file.count)
    let entries = try stateDictionary(object)
    let (keys, storagesStart) = try pickle(file, keysStart..<file.count)

    let references = try storageReferences(object)
    let referencesByKey = Dictionary(references.map { ($0.key, $0) }) { first, _ in first }
    var storages: [String: PyTorchStorage] = [:]
    var reader = ByteReader(file, storagesStart..<file.count)
    for key in keys.list(keys.root) ?? [] {
      guard let key = key.string, let reference = referencesByKey[key] else {
        throw FormatFailure("it has a storage that no tensor refers to")
      }
      let count = try reader.count(UInt64.self)
      guard count == reference.elementCount else {
        throw FormatFailure("storage \(quoted(key)) has \(count) elements; expected \(reference.elementCount)")
      }
      let place = try reader.skip(reference.byteCount)
      guard storages[key] == nil else { throw FormatFailure("storage \(quoted(key)) appears twice") }
      try add(reference, at: place, to: &storages)
    }
    return try tensors(entries, object, storages)
  }

  private static func pickle(_ file: MappedFile, _ range: Range<Int>) throws(FormatFailure) -> (Pickle, end: Int) {
    var reader = ByteReader(file, range.prefix(maximumPickleLength))
    let pickle = try Pickle(&reader, globals: globals)
    return (pickle, reader.position)
  }

  // MARK: Storages

  private struct StorageReference {
    let key: String
    let elementType: SafetensorsFile.ElementType
    let elementSize: Int
    let elementCount: Int
    let byteCount: Int
  }

  /// All storages that the pickle refers to; those that it refers to several times, as often.
  private static func storageReferences(_ pickle: Pickle) throws(FormatFailure) -> [StorageReference] {
    var references: [StorageReference] = []
    for case .persistent(let id) in pickle.objects { references.append(try storageReference(id)) }
    return references
  }

  /// `("storage", type, key, device, number of elements)`; the old layout adds a view, which is None.
  private static func storageReference(_ id: [Pickle.Value]) throws(FormatFailure) -> StorageReference {
    guard id.count == 5 || id.count == 6, id[0].string == "storage", case .global(let name) = id[1],
      let type = storageTypes[name], let size = type.byteCount, let key = id[2].string, let count = id[4].integer,
      count >= 0
    else { throw FormatFailure("its pickle refers to something else than a storage of a known type") }
    if id.count == 6 {
      guard case .none = id[5] else { throw FormatFailure("storage \(quoted(key)) is a view of another one") }
    }
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: size)
    guard !overflow else { throw FormatFailure("storage \(quoted(key)) has \(count) elements") }
    return StorageReference(
      key: key, elementType: type, elementSize: size, elementCount: count, byteCount: byteCount)
  }

  private static func add(
    _ reference: StorageReference, at place: Range<Int>, to storages: inout [String: PyTorchStorage]
  ) throws(FormatFailure) {
    let storage = PyTorchStorage(
      elementType: reference.elementType, elementSize: reference.elementSize, byteRange: place)
    if let other = storages.updateValue(storage, forKey: reference.key) {
      guard other.elementType == storage.elementType, other.byteRange == place else {
        throw FormatFailure("its tensors do not agree on what storage \(quoted(reference.key)) is")
      }
    }
  }

  // MARK: Tensors

  private typealias Entry = (name: String, value: Pickle.Value)

  /// The tensors of the state dictionary, which may lie in an entry of a checkpoint.
  private static func stateDictionary(_ pickle: Pickle) throws(FormatFailure) -> [Entry] {
    var items = pickle.dictionary(pickle.root) ?? []
    // Twice: checkpoints of training scripts nest no deeper.
    for _ in 0..<2 {
      let inner = wrappers.lazy.compactMap { wrapper in
        items.first { $0.key.string == wrapper }.flatMap { pickle.dictionary($0.value) }
      }.first
      guard let inner else { break }
      items = inner
    }

    var entries: [Entry] = []
    for (key, value) in items where isTensor(value, pickle) {
      guard let name = key.string else { throw FormatFailure("a tensor's name is no string") }
      entries.append((name, value))
    }
    guard !entries.isEmpty else { throw FormatFailure("it holds no state dictionary: a dictionary of tensors by name") }
    if entries.allSatisfy({ $0.name.hasPrefix(parallelPrefix) }) {
      entries = entries.map { (String($0.name.dropFirst(parallelPrefix.count)), $0.value) }
    }
    var names: Set<String> = []
    for (name, _) in entries where !names.insert(name).inserted {
      throw FormatFailure("the name \(quoted(name)) appears twice")
    }
    return entries
  }

  private static func tensors(
    _ entries: [Entry], _ pickle: Pickle, _ storages: [String: PyTorchStorage]
  ) throws(FormatFailure) -> [WeightTensor] {
    var tensors: [WeightTensor] = []
    for (name, value) in entries { tensors.append(try tensor(name, value, pickle, storages)) }
    return tensors
  }

  private static func isTensor(_ value: Pickle.Value, _ pickle: Pickle) -> Bool {
    guard let function = pickle.call(value)?.function else { return false }
    return function == parameterFunction || tensorFunctions.contains(function)
  }

  /// `_rebuild_tensor_v2(storage, offset, shape, strides, ...)`, or `_rebuild_parameter(tensor, ...)` around it.
  private static func tensor(
    _ name: String, _ value: Pickle.Value, _ pickle: Pickle, _ storages: [String: PyTorchStorage]
  ) throws(FormatFailure) -> WeightTensor {
    var call = pickle.call(value)
    if call?.function == parameterFunction { call = call?.arguments.first.flatMap { pickle.call($0) } }
    guard let call, tensorFunctions.contains(call.function), call.arguments.count >= 4,
      let id = pickle.persistent(call.arguments[0]), let offset = call.arguments[1].integer,
      let shape = integers(call.arguments[2], pickle), let strides = integers(call.arguments[3], pickle)
    else { throw FormatFailure("tensor \(quoted(name)) has no storage, offset, shape and strides") }
    let key = try storageReference(id).key
    guard let storage = storages[key] else {
      throw FormatFailure("tensor \(quoted(name)) has its elements in storage \(quoted(key)), which is not there")
    }
    return try WeightTensor(name: name, storage: storage, offset: offset, shape: shape, strides: strides)
  }

  /// A tuple of integers, or `torch.Size` of one.
  private static func integers(_ value: Pickle.Value, _ pickle: Pickle) -> [Int]? {
    var value = value
    if let call = pickle.call(value), call.function == sizeFunction, let argument = call.arguments.first {
      value = argument
    }
    guard let items = pickle.tuple(value) else { return nil }
    let integers = items.compactMap(\.integer)
    return integers.count == items.count ? integers : nil
  }
}
