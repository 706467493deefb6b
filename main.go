// Command sunspool carries what a Sungrow inverter measures to where its owner can see it, and loses nothing on the
// way. One program has two roles: edge, beside the inverter, and vps, which stores and answers.
//
//	inverter ──> sunspool edge ──> sunspool vps ──> reader
//
// Settings are environment variables, each also a flag; `sunspool env` prints them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
	_ "time/tzdata" // a household's days must be right in an image without zones

	"github.com/spf13/cobra"

	"sunspool/cli"
	"sunspool/cli/check"
	"sunspool/cli/doctor"
	"sunspool/cli/export"
	"sunspool/cli/setup"
	"sunspool/demo"
	"sunspool/edge"
	"sunspool/edge/backlog"
	"sunspool/edge/config"
	"sunspool/edge/probe"
	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/health"
	"sunspool/internal/answer"
	"sunspool/internal/checklist"
	"sunspool/internal/fallbackroots"
	"sunspool/internal/resident"
	"sunspool/packaging"
	"sunspool/settings"
	"sunspool/systemd"
	"sunspool/vps"
	"sunspool/vps/importer"
	"sunspool/vps/storecopy"
)

// version is set at the link of a release.
var version = "devel"

// commands is the command line: one line a command, its struct the settings.
type commands struct {
	Demo     demo.Config      `cmd:"" help:"Show it all at work: a simulated inverter, edge and vps in one process."`
	Edge     config.Config    `cmd:"" help:"Read an inverter and deliver to a server (a service)."`
	VPS      vpsCommand       `cmd:"" name:"vps" help:"Store what edges deliver and answer readers (a service)."`
	Token    vps.TokenConfig  `cmd:"" help:"Create, list and revoke tokens of the vps that runs on this machine."`
	Site     vps.SiteConfig   `cmd:"" help:"Set, list and remove sites of the vps that runs on this machine: several devices of one household."`
	Setup    setup.Config     `cmd:"" help:"Make this machine an edge, a server, or both: asks, shows what it would change, and starts it."`
	Status   statusCommand    `cmd:"" help:"Say how the edge and the vps of this machine are: one sentence, then link by link."`
	Doctor   doctor.Config    `cmd:"" help:"Find out what is wrong with the edge and the vps of this machine, and what to do about it."`
	Probe    probe.Config     `cmd:"" help:"Look at an inverter: what it is, what it measures, and whether that adds up. It only reads."`
	Simulate simulator.Config `cmd:"" help:"Simulate an inverter: a Modbus TCP server with a plausible day."`
	Check    check.Config     `cmd:"" help:"Check the settings of the edge or vps: exit status 0, or 3 with all that is wrong."`
	Export   export.Config    `cmd:"" help:"Write what a vps has of an inverter or a site, as CSV or JSON."`
	Service  serviceCommand   `cmd:"" help:"Install, remove, start or stop the edge or vps as a service, on a machine without the package."`
	Spool    backlog.Config   `cmd:"" help:"Look into the spools of an edge, and into its quarantine."`
	Health   healthCommand    `cmd:"" help:"Ask the edge or vps of this machine whether it works: exit status 0 or 1, one line."`
	Env      envCommand       `cmd:"" help:"Print every setting with its default and meaning."`
	Version  versionCommand   `cmd:"" help:"Print the version."`
	Help     helpCommand      `cmd:"" help:"Print the help, or that of a command."`

	ShowVersion bool   `name:"version" short:"v" instead:"" help:"Print the version."`
	Color       string `name:"color" enum:"auto,always,never" default:"auto" placeholder:"WHEN" help:"Colours: auto, always, never."`
	NoInput     bool   `name:"no-input" help:"Ask nothing; what is missing is an error."`

	Completion cli.Completion `cmd:"" help:"Print the completion for a shell."`
	Complete   cli.Complete   `cmd:"" hidden:"" help:"Say what the last word may become."`
	PowerShell cli.Complete   `cmd:"" name:"__complete" hidden:"" help:"The same, as PowerShell's script asks it."`
	Man        cli.Man        `cmd:"" hidden:"" help:"Print a manual page."`
}

// vpsCommand is the service, and what else is done with its store. Its settings are those of all of them.
type vpsCommand struct {
	Settings vpsSettings           `embed:""`
	Run      struct{}              `cmd:"" default:"1" hidden:"" help:"Be the service."`
	Aside    vps.AsideConfig       `cmd:"" help:"List or delete samples with impossible times, which were taken from clients that would repeat them indefinitely."`
	Link     vps.LinkConfig        `cmd:"" help:"Print the link that opens the page with a viewer token, also as a QR code for a phone."`
	Pair     vps.PairConfig        `cmd:"" help:"Make a code by which an edge gets its token from this server, once, within 15 minutes."`
	Print    vps.FingerprintConfig `cmd:"" name:"fingerprint" help:"Print the fingerprint of the server's own certificate authority, for VPS_FINGERPRINT of its edges."`
	Backup   vps.BackupConfig      `cmd:"" help:"Copy the embedded store to a file, also while the vps runs."`
	Verify   vps.VerifyConfig      `cmd:"" help:"Read a backup from its beginning to its end: exit status 0 if it is whole, else 1."`
	Restore  vps.RestoreConfig     `cmd:"" help:"Put a backup in the place of the embedded store, while the vps is stopped."`
	Copy     storecopy.Config      `cmd:"" help:"Copy everything of a store into another, from the embedded store to PostgreSQL or back, and compare both. It can be interrupted and goes on where it was."`
	Import   importer.Config       `cmd:"" help:"Copy the samples of the Python server's PostgreSQL database, table sungrow_samples, into this store."`
}

// vpsSettings has no Validate, which would be called for an import, too. vps.Run does.
type vpsSettings vps.Config

// serviceCommand is for who took the program from an archive. run is what a manager other than systemd calls.
type serviceCommand struct {
	Action string `arg:"" enum:"install,uninstall,start,stop,status,run" help:"install, uninstall, start, stop or status."`
	Role   string `arg:"" enum:"edge,vps" help:"edge or vps."`
}

func (s serviceCommand) do(stdout, stderr io.Writer) error {
	service := systemd.Service{Role: s.Role, Settings: packaging.Env(s.Role), Sysusers: packaging.Sysusers, Out: stdout}
	if s.Action != "run" {
		return service.Do(s.Action)
	}
	return service.Run(func(ctx context.Context) int { return run(ctx, []string{s.Role}, stdout, stderr) })
}

type envCommand struct {
	Role string `arg:"" optional:"" enum:"edge,vps,all" default:"all" help:"edge, vps or all."`
	JSON bool   `name:"json" help:"One JSON document."`
}

func (e envCommand) print(stdout io.Writer, line *settings.Line) error {
	if !e.JSON {
		return line.WriteEnv(stdout, e.services(line)...)
	}
	return answer.Print(stdout, true, map[string]any{"settings": line.Documented(e.services(line)...)}, "")
}

// versionCommand says what this program is.
type versionCommand struct {
	JSON bool `name:"json" help:"One JSON document."`
}

func (v versionCommand) print(stdout io.Writer) error {
	return answer.Print(stdout, v.JSON, map[string]string{"version": buildVersion(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}, "sunspool "+buildVersion())
}

// healthCommand is what a container's HEALTHCHECK calls. It reads the same variables as the service that it asks.
type healthCommand struct {
	Role string `arg:"" enum:"edge,vps" help:"edge or vps."`

	HealthPath  string  `name:"health-path" env:"HEALTH_PATH" help:"Health file of the edge. Default: that of the package's edge, else health.json beside the spool."`
	SpoolPath   string  `name:"spool-path" env:"SPOOL_PATH" default:"/data/spool.db" help:"Spool of the edge."`
	PollS       float64 `name:"poll-interval-s" env:"POLL_INTERVAL_S" default:"5" help:"Seconds between polls of the edge."`
	ListenAddr  string  `name:"listen" env:"LISTEN_ADDR" default:"127.0.0.1:8000" help:"Where the vps listens."`
	TLSCertFile string  `name:"tls-cert-file" env:"TLS_CERT_FILE" help:"Certificate of the vps, if it serves https."`
	TLSSelf     bool    `name:"tls-self" env:"TLS_SELF" help:"The vps has a certificate of its own, in DATA_DIR."`
	DataDir     string  `name:"data-dir" env:"DATA_DIR" default:"/data" placeholder:"DIR" help:"DATA_DIR of the vps."`
	JSON        bool    `name:"json" help:"One JSON document."`
}

func (h healthCommand) ask(ctx context.Context) (string, error) {
	if h.Role == "vps" {
		return "the vps serves", vps.Check(ctx, h.ListenAddr, vps.CertificateFile(h.TLSCertFile, h.TLSSelf, h.DataDir))
	}
	return report.Check(report.FindHealth(h.HealthPath, h.SpoolPath), time.Duration(h.PollS*float64(time.Second)), time.Now())
}

func main() {
	ctx, stop := interruptible(context.Background())
	defer stop()
	checklist.Columns = min(checklist.Columns, width(os.Stdout))
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run does what args say and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printWelcome(ctx, stdout)
		return 0
	}
	var c commands
	sel, err := c.parse(args)
	if err != nil {
		return printError(stderr, formOf(stderr, args), asUsage(sel, err))
	}
	return printError(stderr, formOf(stderr, args), c.do(ctx, sel, stdout, stderr))
}

// line is the command line that fills c.
func (c *commands) line() *settings.Line {
	line := settings.NewLine("sunspool", "From a Sungrow inverter to your own server, without losing a sample.", c)
	nameEnvironmentOnly(line)
	return line
}

// parse reads args and the environment into c. The selection is there also where they are wrong.
func (c *commands) parse(args []string) (*settings.Selection, error) {
	sel, err := c.line().Parse(args)
	if err != nil || sel.Instead {
		return sel, err
	}
	wrong := sel.Unreadable
	c.Edge.Unreadable, c.VPS.Settings.Unreadable = wrong, wrong // named with all else that is wrong
	err = sel.Validate()
	if err == nil && len(wrong) > 0 && !validates(sel.Name()) {
		err = &health.Fault{Code: "usage", Exit: health.ExitUsage, What: errors.Join(wrong...).Error(), Next: "sunspool env   # every setting with its default and meaning"}
	}
	return sel, err
}

// validates reports whether a command names all that is wrong with its settings by itself.
func validates(command string) bool { return command == "edge" || command == "vps run" }

func (c *commands) do(ctx context.Context, sel *settings.Selection, stdout, stderr io.Writer) error {
	if c.Color == "never" {
		os.Setenv("NO_COLOR", "1") // for what draws by itself
	}
	switch {
	case sel.Help:
		return cli.Help(stdout, sel.Line, sel.Command, width(stdout))
	case c.ShowVersion:
		fmt.Fprintln(stdout, "sunspool", buildVersion())
		return nil
	}
	if sel.Name() != "edge" { // which does so when it finds that the host has none
		fallbackroots.Use()
	}
	switch command := sel.Name(); command {
	case "demo":
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // the terminal was closed
		defer stop()
		return demo.Run(ctx, c.Demo, buildVersion(), os.Stdin, stdout)
	case "edge":
		signal.Ignore(syscall.SIGHUP) // reload: a token file is read again whenever it changes
		c.Edge.AtSecondSignal = atSecondSignal
		log := c.Edge.LogLevel.Logger(stderr)
		sel.Line.WarnMisspelt(log)
		defer resident.Keep(ctx)()
		return edge.Run(ctx, c.Edge, buildVersion(), log)
	case "vps run":
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		c.VPS.Settings.Reload, c.VPS.Settings.Version = hup, buildVersion()
		log := c.VPS.Settings.LogLevel.Logger(stderr)
		sel.Line.WarnMisspelt(log)
		return vps.Run(ctx, vps.Config(c.VPS.Settings), log)
	case "vps import":
		return vps.Import(ctx, vps.Config(c.VPS.Settings), c.VPS.Import, stdout)
	case "vps copy":
		return storecopy.Run(ctx, c.VPS.Copy, string(c.VPS.Settings.DatabaseURL), stdout, stderr)
	case "vps link":
		return vps.Link(vps.Config(c.VPS.Settings), c.VPS.Link, stdout, isTerminal(stdout))
	case "vps aside list":
		return vps.ListAside(ctx, vps.Config(c.VPS.Settings), c.VPS.Aside.List, stdout)
	case "vps aside delete":
		return vps.DeleteAside(ctx, vps.Config(c.VPS.Settings), c.VPS.Aside.Delete, stdout)
	case "simulate":
		return simulator.Run(ctx, c.Simulate, stdout, settings.LogLevel{}.Logger(stderr))
	case "service":
		return c.Service.do(stdout, stderr)
	case "health":
		line, err := c.Health.ask(ctx)
		if err != nil {
			return err
		}
		return answer.Print(stdout, c.Health.JSON, map[string]any{"role": c.Health.Role, "healthy": true, "sentence": line}, line)
	case "env":
		return c.Env.print(stdout, sel.Line)
	case "version":
		return c.Version.print(stdout)
	case "help":
		return c.Help.print(stdout)
	case "completion":
		return c.Completion.Write(stdout, sel.Line)
	case "complete":
		return c.Complete.Write(stdout, sel.Line)
	case "__complete":
		return c.PowerShell.WriteDirective(stdout, sel.Line)
	case "man":
		return c.Man.Write(stdout, sel.Line, buildVersion())
	default:
		return c.operate(ctx, command, stdout, stderr)
	}
}

// services are the commands whose settings are to be printed.
func (e envCommand) services(line *settings.Line) (all []*cobra.Command) {
	for _, c := range line.Root.Commands() {
		if name := c.Name(); (name == "edge" || name == "vps") && (e.Role == "all" || e.Role == name) {
			all = append(all, c)
		}
	}
	return all
}

// printError tells about err and returns the exit status that tells a program: a person is told in three lines at most, of
// which the last can be pasted into a shell; a log in one like all others; a program that asked for JSON in a document.
func printError(w io.Writer, form errorForm, err error) int {
	if err == nil {
		return 0
	}
	if wrote, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(err, syscall.EPIPE) && wrote.Path == os.Stdout.Name() {
		return 1 // nobody reads on, as behind `| head`
	}
	f, ok := errors.AsType[*health.Fault](err)
	if !ok {
		f = &health.Fault{What: err.Error()}
	}
	why, exit := f.Why, max(f.Exit, 1)
	if why == "" && f.Err != nil {
		why = f.Err.Error()
	}
	switch form {
	case asDocument:
		return printFailure(w, err)
	case asLine:
		settings.LogLevel{}.Logger(w).Error(f.What, "why", why, "next", f.Next, "code", f.Code, "exit", exit)
		return exit
	}
	say(w, "error:", fitting(w, f.What))
	say(w, "  why:", fitting(w, why))
	if next := health.Pasteable(f.Next); next == f.Next {
		say(w, " next:", next)
	} else { // words, which are a comment in each line
		say(w, " next:", health.Pasteable(fitting(w, f.Next)))
	}
	return exit
}

// asUsage makes what is said of a command line a fault; a setting's own fault stays what it is.
func asUsage(sel *settings.Selection, err error) error {
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return f
	}
	f := &health.Fault{Code: "usage", What: err.Error(), Next: "sunspool --help", Exit: health.ExitUsage}
	if sel.Command.HasParent() {
		f.Next = sel.Typed() + " --help"
	}
	switch sel.Name() {
	case "edge", "vps", "vps run": // services are set by variables: a wrong one is no reason to try again
		f.Exit = health.ExitConfig
	}
	return f
}
