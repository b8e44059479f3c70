internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

@main
struct Imsim: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "imsim",
    abstract: "Finds the pictures that look alike.",
    discussion: """
      Point it at a folder, and ask which pictures look like a given one:

        imsim index photos --model photos.imsim
        imsim query photos.imsim holiday.jpg -k 5 --sheet hits.jpg

      Nothing needs a network connection but 'imsim weights pull': the default backbone comes with its weights.

      Exit codes: 0 done, 1 something failed, 2 the command line is wrong, 130 interrupted.
      """,
    version: Version.current,
    subcommands: [
      Index.self, Query.self, Locate.self, Explain.self, Graph.self, Map.self, Fit.self, Evaluate.self,
      Thresholds.self, Embed.self, Remove.self, Records.self, Export.self, Import.self, Info.self, Repair.self,
      Upgrade.self, Calibrate.self, BackbonesCommand.self, Weights.self, Bench.self, BenchSearch.self, Doctor.self,
      Demo.self,
    ])

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      finish(error)
    }
  }

  private static func finish(_ error: any Error) -> Never {
    switch error {
    case is CancellationError:
      Terminal.standardError.write("imsim: interrupted\n")
      exit(withCode: 130)
    case let error as SimilarityError:
      Terminal.standardError.write("imsim: \(error.message)\n")
      exit(withCode: 1)
    case let code as ExitCode:
      exit(withCode: code.rawValue)
    default:
      // What is left comes from the parser: help and version, or a command line that is wrong.
      let code = exitCode(for: error)
      let text = fullMessage(for: error)
      if code.isSuccess {
        Terminal.standardOutput.write(text + "\n")
        exit(withCode: 0)
      }
      Terminal.standardError.write(text + "\n")
      exit(withCode: code == .validationFailure ? 2 : 1)
    }
  }

  private static func exit(withCode code: Int32) -> Never { exit(withError: ExitCode(code)) }
}
