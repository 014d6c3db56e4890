using System.CommandLine;

namespace Mesh.Cli;

/// <summary>Options whose value is one of a few words. Another is refused on one line, as every other fault of a command line.</summary>
internal static class Choice
{
    /// <summary>What every command with a result for programs has.</summary>
    public const string OutputName = "--output";

    public static Option<string> Of(string name, string description, string otherwise, params string[] words)
    {
        var option = new Option<string>(name) { Description = description, DefaultValueFactory = _ => otherwise, HelpName = string.Join('|', words) };
        option.CompletionSources.Add(words);
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var given] && !words.Contains(given.Value)) result.AddError($"{name} {given.Value}: one of {string.Join(", ", words)}");
        });
        return option;
    }

    public static Option<string> Output(string description) => Of(OutputName, description, "text", "text", "json");

    /// <summary>Whether the command line asks for JSON, also where it has faults elsewhere.</summary>
    public static bool IsJson(ParseResult parsed) =>
        parsed.CommandResult.Command.Options.FirstOrDefault(o => o.Name == OutputName) is { } option && parsed.GetResult(option)?.Tokens is [{ Value: "json" }];
}
