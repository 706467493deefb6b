package backlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/edge/delivered"
	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/spool/spooltest"
	"sunspool/edge/upload"
	"sunspool/health"
)

// bed is a spool with five samples that wait, three that were refused, of which one has another code, and two delivered ones.
func bed(t *testing.T) (path string, s *spool.Spool) {
	t.Helper()
	dir, err := os.MkdirTemp("", "b") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "spool.db")
	if s, err = spool.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	all := spooltest.Fill(t, s, 10)
	refuse(t, s, map[uint64]string{3: "value_error", 4: "too_large", 5: "value_error"})
	if err := s.Settle([]uint64{1, 2}, nil); err != nil {
		t.Fatal(err)
	}
	copies := delivered.Copies{Dir: delivered.DirOf(path), Device: "roof", Keep: time.Hour, Room: func() int64 { return 1 << 30 }, Log: slog.New(slog.DiscardHandler)}
	copies.Add(&all[0])
	copies.Add(&all[1])
	copies.Flush()
	return path, s
}

func refuse(t *testing.T, s *spool.Spool, codes map[uint64]string) {
	t.Helper()
	var all []spool.Rejection
	for seq, code := range codes {
		all = append(all, spool.Rejection{Seq: seq, Code: code, Detail: "too much", First: spooltest.Noon, Last: spooltest.Noon})
	}
	if err := s.Settle(nil, all); err != nil {
		t.Fatal(err)
	}
}

// answering makes s the spool of an edge that answers at its status socket.
func answering(t *testing.T, s *spool.Spool) {
	t.Helper()
	r := report.New("test", "roof", "", slog.New(slog.DiscardHandler))
	r.Watch(func() report.Parts { return report.Parts{Spool: s, Uploader: new(upload.Uploader)} })
	server, err := r.Serve(filepath.Join(filepath.Dir(s.Path()), "edge.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Shutdown(context.WithoutCancel(t.Context())) })
}

// states runs a test on a spool that is closed, and on one that an edge has open.
func states(t *testing.T, f func(t *testing.T, path string, refused func() int)) {
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprintf("open %v", open), func(t *testing.T) {
			path, s := bed(t)
			if open {
				answering(t, s)
			} else if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			f(t, path, func() int {
				return lines(t, ask(t, "show", Config{Show: ShowConfig{Files: Files{Files: []string{path}}, Quarantine: true}}))
			})
		})
	}
}

func ask(t *testing.T, verb string, c Config) string {
	t.Helper()
	out, _, err := typed(t, verb, c, nil)
	if err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
	return out
}

// typed runs a command. What a person types at a terminal is in; without one it is nil.
func typed(t *testing.T, verb string, c Config, in io.Reader) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = Command{In: in, Out: &o, Err: &e, Terminal: in != nil}.Run(t.Context(), verb, c)
	return o.String(), e.String(), err
}

func lines(t *testing.T, text string) int { return strings.Count(text, "\n") }

func codeOf(err error) string {
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return f.Code
	}
	return fmt.Sprint(err)
}

func TestWhatASpoolHasIsListedAndShown(t *testing.T) {
	states(t, func(t *testing.T, path string, _ func() int) {
		files := Files{Files: []string{path}}
		if err := os.WriteFile(path+".damaged-1", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		var list struct{ Spools []Listed }
		if err := json.Unmarshal([]byte(ask(t, "list", Config{List: ListConfig{Files: files, JSON: true}})), &list); err != nil || len(list.Spools) != 3 {
			t.Fatalf("%v, %+v", err, list)
		}
		l, kept, aside := list.Spools[0], list.Spools[1], list.Spools[2]
		at := func(i int) time.Time { return spooltest.Noon.Add(time.Duration(i) * 5 * time.Second) }
		if l.Device != "roof" || *l.Waiting != 5 || *l.Quarantined != 3 || !l.Oldest.Equal(at(2)) || !l.Newest.Equal(at(9)) || l.Bytes == 0 || l.State != map[bool]string{true: "open", false: "closed"}[exists(filepath.Join(filepath.Dir(path), "edge.sock"))] {
			t.Errorf("%+v", l)
		}
		if kept.Kind != "delivered" || *kept.Delivered != 2 || kept.Device != "roof" || aside.Kind != "aside" || aside.Bytes != 1 {
			t.Errorf("%+v, %+v", kept, aside)
		}
		if text := ask(t, "list", Config{List: ListConfig{Files: files}}); lines(t, text) != 4 {
			t.Errorf("for people:\n%s", text)
		}
		for _, c := range []struct {
			show  ShowConfig
			lines int
			has   string
		}{
			{ShowConfig{}, 5, "6  2026-06-21T12:00:25Z  roof  pv 5000 W  home 730 W"},
			{ShowConfig{Limit: 2}, 2, ""},
			{ShowConfig{Quarantine: true}, 3, "refused: too_large: too much"},
			{ShowConfig{Delivered: true}, 2, "2026-06-21T12:00:05Z"},
			{ShowConfig{Span: Span{From: "2026-06-21T12:00:30Z", To: "2026-06-21T12:00:40Z"}}, 2, ""},
			{ShowConfig{JSON: true, Quarantine: true}, 3, `"sample":{"device_id":"roof","ts":"2026-06-21T12:00:10Z","pv_power_w":`},
		} {
			c.show.Files = files
			if text := ask(t, "show", Config{Show: c.show}); lines(t, text) != c.lines || !strings.Contains(text, c.has) {
				t.Errorf("%+v:\n%s", c.show, text)
			}
		}
		if text := ask(t, "count", Config{Count: CountConfig{Files: files}}); text != path+": 5 samples are unsent, 3 more are in quarantine; 2 copies of delivered ones are kept\n" {
			t.Error(text)
		}
	})
}

func TestRefusedSamplesAreSentAgainOnce(t *testing.T) {
	states(t, func(t *testing.T, path string, refused func() int) {
		files := Files{Files: []string{path}}
		if _, _, err := typed(t, "requeue", Config{Requeue: RequeueConfig{Files: files}}, nil); codeOf(err) != "usage" {
			t.Errorf("without saying which: %v", err)
		}
		for _, c := range []struct {
			which Refused
			n     int
		}{{Refused{Codes: []string{"too_large"}}, 1}, {Refused{Codes: []string{"too_large"}}, 0}, {Refused{Numbers: []uint64{5, 99}}, 1}, {Refused{Span: Span{To: "2026-06-21T12:00:10Z"}}, 0}, {Refused{All: true}, 1}, {Refused{All: true}, 0}} {
			var done struct{ Requeued int }
			if err := json.Unmarshal([]byte(ask(t, "requeue", Config{Requeue: RequeueConfig{Files: files, Refused: c.which, JSON: true}})), &done); err != nil || done.Requeued != c.n {
				t.Errorf("%+v: %v, %+v, want %d", c.which, err, done, c.n)
			}
		}
		waiting := ask(t, "show", Config{Show: ShowConfig{Files: files}})
		if lines(t, waiting) != 8 || refused() != 0 || !strings.HasPrefix(waiting, "3  ") {
			t.Errorf("%d are refused still, and what waits is\n%s", refused(), waiting)
		}
		if text := ask(t, "verify", Config{Verify: VerifyConfig{Files: files}}); !strings.Contains(text, "whole; 8 that wait and 0 of the quarantine can be read") {
			t.Error(text)
		}
	})
}

func TestWhatIsExportedIsWhatIsThere(t *testing.T) {
	states(t, func(t *testing.T, path string, _ func() int) {
		files, dir := Files{Files: []string{path}}, t.TempDir()
		for _, c := range []struct {
			export  ExportConfig
			samples int
		}{{ExportConfig{Format: "json"}, 8}, {ExportConfig{Format: "batches", Quarantine: true}, 3}, {ExportConfig{Format: "csv", Waiting: true, Delivered: true}, 7}, {ExportConfig{Format: "json", Delivered: true}, 2}} {
			c.export.Files, c.export.Output = files, filepath.Join(dir, fmt.Sprint(c.samples))
			if _, said, err := typed(t, "export", Config{Export: c.export}, nil); err != nil || !strings.HasPrefix(said, fmt.Sprintf("%d samples are in ", c.samples)) {
				t.Errorf("%+v: %q, %v", c.export, said, err)
			}
			text, err := os.ReadFile(c.export.Output)
			if err != nil {
				t.Fatal(err)
			}
			if c.export.Format == "csv" {
				if lines(t, string(text)) != 8 || !strings.HasPrefix(string(text), "device_id,ts,pv_power_w,") {
					t.Errorf("%s", text)
				}
				continue
			}
			all, err := readExported(c.export.Output)
			if err != nil || len(*all) != c.samples {
				t.Errorf("%+v: %v, %v", c.export, all, err)
			}
			for i := range 10 {
				s := spooltest.SampleAt(spooltest.Noon.Add(time.Duration(i) * 5 * time.Second))
				if found := (*all)[keyOf(&s)]; len(found) > 0 && (len(found) != 1 || !found[0].Equal(&s)) {
					t.Errorf("%+v is exported as %+v", s, found)
				}
			}
		}
		again := Config{Export: ExportConfig{Files: files, Format: "json", Output: filepath.Join(dir, "8")}}
		if _, _, err := typed(t, "export", again, nil); codeOf(err) != "file_exists" {
			t.Errorf("over an earlier export: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		again.Export.Output = filepath.Join(dir, "interrupted")
		if err := (Command{Out: io.Discard, Err: io.Discard}).Run(ended, "export", again); err == nil || exists(again.Export.Output) || exists(again.Export.Output+".new") {
			t.Errorf("Ctrl-C: %v, and something is left", err)
		}
	})
}

func TestNothingIsDroppedThatWasNotExportedOrConfirmed(t *testing.T) {
	states(t, func(t *testing.T, path string, refused func() int) {
		files, file := Files{Files: []string{path}}, filepath.Join(t.TempDir(), "exported")
		if _, _, err := typed(t, "export", Config{Export: ExportConfig{Files: files, Format: "json", Quarantine: true, Span: Span{To: "2026-06-21T12:00:15Z"}, Output: file}}, nil); err != nil {
			t.Fatal(err)
		}
		all := Refused{All: true}
		for name, c := range map[string]struct {
			drop DropConfig
			in   io.Reader
			want string
		}{
			"no word":               {DropConfig{Refused: all}, strings.NewReader("3\n"), "not_confirmed"},
			"no terminal":           {DropConfig{Refused: all, Exported: file}, nil, "not_confirmed"},
			"another number":        {DropConfig{Refused: all, Yes: true}, strings.NewReader("2\n"), "not_confirmed"},
			"nothing typed":         {DropConfig{Refused: all, Yes: true}, strings.NewReader(""), "not_confirmed"},
			"not which":             {DropConfig{Yes: true}, nil, "usage"},
			"an export that is not": {DropConfig{Refused: all, Yes: true, Exported: path}, nil, "export_unreadable"},
		} {
			c.drop.Files = files
			if _, _, err := typed(t, "drop", Config{Drop: c.drop}, c.in); codeOf(err) != c.want || refused() != 3 {
				t.Errorf("%s: %v, want %s; %d are left", name, err, c.want, refused())
			}
		}
		out, said, err := typed(t, "drop", Config{Drop: DropConfig{Files: files, Refused: all, Exported: file}}, strings.NewReader(""))
		if err != nil || refused() != 2 || !strings.Contains(said, "1 sample of the quarantine will be deleted, of 2026-06-21T12:00:10Z") || !strings.Contains(out, "1 sample of the quarantine are deleted") {
			t.Errorf("the exported one: %v, %q, %q; %d are left", err, out, said, refused())
		}
		if _, said, err := typed(t, "drop", Config{Drop: DropConfig{Files: files, Refused: Refused{Codes: []string{"too_large"}}, Yes: true}}, strings.NewReader("1\n")); err != nil || refused() != 1 || !strings.Contains(said, "They are lost then") {
			t.Errorf("a confirmed one: %v, %q; %d are left", err, said, refused())
		}
		if _, _, err := typed(t, "drop", Config{Drop: DropConfig{Files: files, Refused: all, Yes: true}}, nil); err != nil || refused() != 0 {
			t.Errorf("with --yes in a script: %v; %d are left", err, refused())
		}
		if waiting := lines(t, ask(t, "show", Config{Show: ShowConfig{Files: files}})); waiting != 5 {
			t.Errorf("%d wait, want 5", waiting)
		}
	})
}

// A file that was set aside is read as an edge would salvage it, changed by nothing, and deleted as a whole. Two of its samples
// are in pages that are not in use any more: the server has them, which nothing in the file proves.
func TestDamagedFileIsReadAndDeletedWhole(t *testing.T) {
	path, s := bed(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := (&spool.Record{Seq: 9, Sample: spooltest.SampleAt(spooltest.Noon.Add(40 * time.Second)), When: spool.When{Quality: spool.Synced}}).Encode()
	damaged := slices.Clone(text)
	at := bytes.Index(damaged, whole)
	for ; at >= 0; at = bytes.Index(damaged, whole) {
		damaged[at+20] ^= 0xff
	}
	aside := path + ".damaged-1"
	if err := os.WriteFile(aside, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	files := Files{Files: []string{aside}}
	out, _, err := typed(t, "verify", Config{Verify: VerifyConfig{Files: files}}, nil)
	if codeOf(err) != "spool_damaged" || !strings.Contains(out, "damaged: page ") || !strings.Contains(out, "6 that wait and 3 of the quarantine can be read, 1 cannot") {
		t.Errorf("%v\n%s", err, out)
	}
	if text := ask(t, "verify", Config{Verify: VerifyConfig{Files: Files{Files: []string{path}}}}); !strings.Contains(text, "whole; 5 that wait") || !strings.Contains(text, "whole; 2 copies can be read") {
		t.Error(text)
	}
	if _, _, err := typed(t, "requeue", Config{Requeue: RequeueConfig{Files: files, Refused: Refused{All: true}}}, nil); codeOf(err) != "usage" {
		t.Errorf("requeue: %v", err)
	}
	some, every := filepath.Join(t.TempDir(), "some"), filepath.Join(t.TempDir(), "every")
	for file, c := range map[string]ExportConfig{some: {Waiting: true}, every: {}} {
		c.Files, c.Format, c.Output = files, "json", file
		if _, _, err := typed(t, "export", Config{Export: c}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := os.ReadFile(aside); err != nil || !bytes.Equal(after, damaged) {
		t.Errorf("reading changed it: %v", err)
	}
	if _, _, err := typed(t, "drop", Config{Drop: DropConfig{Files: files, Exported: some}}, strings.NewReader("")); codeOf(err) != "not_exported" || !exists(aside) {
		t.Errorf("with a part of it exported: %v", err)
	}
	if _, said, err := typed(t, "drop", Config{Drop: DropConfig{Files: files, Exported: every}}, strings.NewReader("")); err != nil || exists(aside) || !strings.Contains(said, "with 9 samples that can be read in it and 1 that cannot") {
		t.Errorf("%v, %q", err, said)
	}
}
