package setting

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"coze-token/internal/fault"
	"coze-token/internal/message"
	"coze-token/internal/quote"
)

// Options say what the host can do and what lies under the environment.
type Options struct {
	// File is read where the environment says nothing. Optional.
	File File
	// ReadFile reads a file that a setting names. Optional: without it this host has no files.
	ReadFile func(name string) ([]byte, error)
	// Exposed reports whether every user of this machine can read a file. Optional: nothing is warned
	// of.
	Exposed func(name string) bool
	// YAML turns YAML into JSON. Optional: without it, only JSON is read.
	YAML func(text []byte) ([]byte, error)
	// Workers says that the host is Cloudflare Workers. Otherwise it is the native server.
	Workers bool
	// NotText is the text that stands for a variable that the host cannot hand over as a text. Such
	// a setting is a fault: without it, a service could be open that was to be closed. Optional.
	NotText string
	// Partial says that a file that may hold required settings could not be read. They are not
	// missed then.
	Partial bool
	// Mistaken are names that people set for a setting and that are spelt quite differently. ::
	// wrong → right
	Mistaken map[string]string
	// Foreign are names close to a setting's that other programs use.
	Foreign []string
}

// A Reader reads the settings of a service, or of one of its apps. It is for one goroutine.
type Reader struct {
	list     List
	options  Options
	env      map[string]string
	values   map[string]any    // :: setting → its parsed value
	from     map[string]string // :: setting → the variable that sets it, rightly or wrongly
	got      map[string]bool   // the settings that a feature has read
	names    map[string]string // :: variable → what messages call it, where that is not its name
	misspelt misses
	parent   *Reader // nil: this is the service's
	where    string  // goes before the names of an app's members
	// The variables that an app has from the service.
	inherited map[string]bool
	faults    fault.List
	warnings  fault.List
}

// Open makes a Reader over an environment, with the file of the options under it. Nothing is parsed
// yet.
func (l List) Open(env map[string]string, o Options) *Reader {
	env, names := o.File.under(l, env)
	r := newReader(l, env, o, names)
	r.misspelt = l.nearMisses(env, o)
	return r
}

func newReader(l List, env map[string]string, o Options, names map[string]string) *Reader {
	return &Reader{
		list: l, options: o, env: env, names: names,
		values: map[string]any{}, from: map[string]string{}, got: map[string]bool{}, inherited: map[string]bool{},
	}
}

// Parse parses every setting but those of the scopes to skip. It comes before any Get.
func (r *Reader) Parse(skip ...Scope) {
	for _, s := range r.list {
		row := s.row()
		switch {
		case row.Host == Native && r.options.Workers:
			r.refuse(row, "this host cannot heed it: only the native server (coze-token serve) has a listener and files",
				"remove it here")
		case row.Host == Workers && !r.options.Workers:
			r.refuse(row, "is for Cloudflare Workers, and this is the native server",
				"remove it here; replicas share through REDIS_URL")
		case slices.Contains(skip, row.App):
		case r.options.Partial && row.Required != "" && !row.setIn(r.env):
		default:
			r.parse(s)
		}
	}
}

// parse parses one setting: what it is set to, or its default.
func (r *Reader) parse(s Setting) {
	row := s.row()
	v, state := r.lookUp(row)
	switch {
	case state == unusable:
		return
	case state == present:
	case row.Required != "":
		r.missing(row)
		return
	case row.WorkersDefault != "" && r.options.Workers:
		v = &Value{Row: row, Name: row.Name, text: row.WorkersDefault, reader: r}
	case row.Default != "":
		v = &Value{Row: row, Name: row.Name, text: row.Default, reader: r}
	default:
		return
	}
	value := s.parse(v)
	if v.exposed != "" && !v.faulty { // what is refused, such as a public key, may be no secret
		v.Warn("every user of this machine can read the file %s",
			"let it belong to the user that the service runs as, and chmod 600", quote.Path(v.exposed))
	}
	if !v.faulty || v.kept {
		r.values[row.Name] = value
	}
}

type state int

const (
	absent state = iota
	present
	unusable // reported already
)

// lookUp finds the variable that sets the row.
func (r *Reader) lookUp(row *Row) (v *Value, found state) {
	for _, rank := range row.ranks() {
		set := slices.DeleteFunc(slices.Clone(rank), func(o Other) bool { return blank(r.env[o.Name]) })
		switch {
		case len(set) == 0:
		case found != absent:
			r.shadowed(row, v, set)
		case len(set) > 1:
			r.from[row.Name] = set[0].Name
			r.fault(set[0].Name, "%s is set too", "keep one of the two", set[1].Name)
			found = unusable
		default:
			r.from[row.Name] = set[0].Name
			v, found = r.load(row, set[0])
		}
	}
	return v, found
}

// load takes the text of one variable, or of the file that it names.
func (r *Reader) load(row *Row, source Other) (*Value, state) {
	v := &Value{Row: row, Name: source.Name, text: r.env[source.Name], reader: r}
	if v.text == r.options.NotText { // no variable that is set is empty
		v.Fault("is bound to something that is no text, such as a secret of a Secrets Store, or is a number of too many "+
			"digits", "set it as text, in quotes, or with wrangler secret put %s"+
			"; if it is no setting, give the binding another name", source.Name)
		return nil, unusable
	}
	if source.File {
		content, ok := v.readFile(r.unquoted(source.Name, v.text), row.Name)
		v.text = strings.TrimSpace(content)
		switch {
		case !ok:
			return nil, unusable
		case v.text == "":
			v.Fault("the file it names is empty", "write the value of %s into it", row.Name)
		case !row.HoldsKey && keyIn(v.text) == "public key":
			v.Fault("the file it names holds what looks like a public key", publicKeyRemedy)
		case !row.HoldsKey && keyIn(v.text) != "":
			v.Fault("the file it names holds what looks like a private key",
				"name it in PRIVATE_KEY_FILE, and here the file with %s", row.Name)
		}
		v.text = r.withoutName(source.Name, row.Name, v.text)
	} else {
		v.text = r.withoutName(source.Name, row.Name, v.text)
		switch {
		case !row.HoldsKey && keyIn(v.text) == "public key":
			v.Fault("holds what looks like a public key", publicKeyRemedy)
		case !row.HoldsKey && keyIn(v.text) != "":
			v.Fault("holds what looks like a private key", "put the key into PRIVATE_KEY, and correct this one")
		case row.Secret: // its parser knows what belongs to it
			v.text = strings.TrimSpace(strings.TrimPrefix(v.text, byteOrderMark))
		default:
			v.text = r.unquoted(source.Name, v.text)
		}
	}
	if v.faulty {
		return nil, unusable
	}
	return v, present
}

const publicKeyRemedy = "no setting takes one: Coze keeps it, and lists its fingerprint, which is KID"

// shadowed warns of other names that say something else than the name that wins over them.
func (r *Reader) shadowed(row *Row, winner *Value, set []Other) {
	for _, o := range set {
		text := strings.TrimSpace(r.env[o.Name])
		own := ""
		if winner != nil {
			own = winner.text
		}
		if o.Ambient || o.File || text == own || o.Agrees != nil && o.Agrees(own, text) {
			continue
		}
		r.warn(o.Name, "is ignored, because %s is set", "remove one of the two", r.from[row.Name])
	}
}

// refuse reports a setting of another host.
func (r *Reader) refuse(row *Row, problem, remedy message.Format) {
	for _, rank := range row.ranks() {
		for _, o := range rank {
			if !o.Ambient && !blank(r.env[o.Name]) {
				r.fault(o.Name, problem, remedy)
			}
		}
	}
}

// missing reports a required setting, with the misspelt variable that was probably meant for it.
func (r *Reader) missing(row *Row) {
	if wrong, right := r.misspelt.pop(row); wrong != "" {
		r.fault(row.Name, "is not set, but %s is, which is not a setting", "rename %s to %s", wrong, wrong, right)
		return
	}
	problem := message.Format("is not set")
	if _, ok := r.env[row.Name]; ok {
		problem = "is empty"
	}
	switch {
	case row.Secret && r.options.Workers:
		r.fault(row.Name, problem, "%s (wrangler secret put %s)", row.Required, row.Name)
	case row.Secret && r.options.ReadFile != nil:
		r.fault(row.Name, problem, "%s, or %s_FILE to the name of that file", row.Required, row.Name)
	default:
		r.fault(row.Name, problem, row.Required)
	}
}

// App opens a Reader for one app. members are its own settings, by variable; of the rest it has
// what its scopes say. In messages its settings are called where and the member's name in lower
// case.
func (r *Reader) App(where string, members map[string]string) *Reader {
	a := newReader(r.list, maps.Clone(members), r.options, r.names)
	a.parent, a.where, a.options.Partial = r, where, false
	own := map[Scope]bool{Service: true, Own: true}
	for _, row := range r.list.Rows() {
		if row.App != Shared && row.setIn(members) {
			own[row.App] = true
		}
	}
	for _, row := range r.list.Rows() {
		if own[row.App] || row.setIn(members) {
			continue
		}
		for _, name := range row.Names() {
			a.inherited[name] = true
			if text := r.env[name]; !blank(text) {
				a.env[name] = text
			}
		}
	}
	a.Parse(Service)
	return a
}

// Members are the settings that an app can have, in lower case and without _FILE.
func (r *Reader) Members() []string {
	var names []string
	for _, row := range r.list.Rows() {
		if row.App != Service {
			names = append(names, strings.ToLower(row.Name))
		}
	}
	return names
}

// isMember reports whether an app can set the variable.
func (r *Reader) isMember(name string) bool {
	return slices.ContainsFunc(r.list.Rows(), func(row *Row) bool {
		return row.App != Service && (name == row.Name || row.Secret && name == row.Name+"_FILE")
	})
}

// Has reports whether a variable of the setting is set. Unlike [Reader.IsSet], it can be asked
// before Parse.
func (r *Reader) Has(s Setting) bool { return s.row().setIn(r.env) }

// HasRequired reports whether any required setting is set.
func (r *Reader) HasRequired() bool {
	return slices.ContainsFunc(r.list.Rows(), func(row *Row) bool { return row.Required != "" && row.setIn(r.env) })
}

// IsSet reports whether the setting is set, rightly or wrongly. A default does not set it.
func (r *Reader) IsSet(s Setting) bool { return r.from[s.row().Name] != "" }

// IsOwn reports whether the setting is set for this very app, and not only for the service.
func (r *Reader) IsOwn(s Setting) bool { return r.IsSet(s) && !r.inherited[r.from[s.row().Name]] }

// Variable is the variable that sets the setting. It is the setting's name if none does.
func (r *Reader) Variable(s Setting) string { return cmp.Or(r.from[s.row().Name], s.row().Name) }

// Call is what messages call the setting: the variable or the member of a file that sets it.
func (r *Reader) Call(s Setting) string { return r.call(r.Variable(s)) }

func (r *Reader) call(variable string) string {
	if r.where != "" && !r.inherited[variable] {
		return r.where + strings.ToLower(variable)
	}
	return cmp.Or(r.names[variable], variable)
}

// Fault reports what is wrong with a setting.
func (r *Reader) Fault(s Setting, problem, remedy message.Format, args ...any) {
	r.fault(r.Variable(s), problem, remedy, args...)
}

// Warn reports what works and is probably not meant.
func (r *Reader) Warn(s Setting, problem, remedy message.Format, args ...any) {
	r.warn(r.Variable(s), problem, remedy, args...)
}

// Report reports the faults that a parser found, each as a fault of the setting.
func (r *Reader) Report(s Setting, err error) {
	for _, f := range fault.Of(err) {
		r.report(r.Variable(s), f)
	}
}

// ReportNamed reports faults that name their settings, as their rows do.
func (r *Reader) ReportNamed(faults fault.List) {
	for _, f := range faults {
		r.report(cmp.Or(r.from[f.Setting], f.Setting), f)
	}
}

// Together reports whether two settings that need each other are both set or both not. It is a
// fault of the one that stands alone.
func (r *Reader) Together(a, b Setting, remedy message.Format) bool {
	if r.IsSet(a) == r.IsSet(b) {
		return true
	}
	if r.IsSet(b) {
		a, b = b, a
	}
	r.Fault(a, "is set without %s", remedy, b.row().Name)
	return false
}

func (r *Reader) fault(variable string, problem, remedy message.Format, args ...any) {
	r.report(variable, fault.New(problem, remedy, args...))
}

func (r *Reader) warn(variable string, problem, remedy message.Format, args ...any) {
	r.warning(variable, fault.New(problem, remedy, args...))
}

// warning reports a warning as one of the variable.
func (r *Reader) warning(variable string, w fault.Fault) {
	r.add(&r.service().warnings, w.Of(r.call(variable)))
}

// report reports a fault as one of the variable.
func (r *Reader) report(variable string, f fault.Fault) {
	r.add(&r.service().faults, f.Of(r.call(variable)))
}

func (r *Reader) service() *Reader {
	if r.parent != nil {
		return r.parent
	}
	return r
}

// add appends to a list of the service's. What is wrong with an inherited setting is reported once.
func (r *Reader) add(list *fault.List, f fault.Fault) {
	same := func(other fault.Fault) bool { return other.Error() == f.Error() }
	if r.parent == nil || !slices.ContainsFunc(*list, same) {
		*list = append(*list, f)
	}
}

// Unread are the settings that no feature has read, for tests.
func (r *Reader) Unread() (names []string) {
	for _, row := range r.list.Rows() {
		if !r.got[row.Name] {
			names = append(names, row.Name)
		}
	}
	return names
}

// Close returns the warnings, and all faults as an error of type [fault.List].
func (r *Reader) Close() (warnings fault.List, err error) {
	return append(r.warnings, r.misspelt.warnings()...), r.faults.Err()
}

// setIn reports whether a variable of the row is set.
func (row *Row) setIn(env map[string]string) bool {
	return slices.ContainsFunc(row.Names(), func(name string) bool { return !blank(env[name]) })
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }
