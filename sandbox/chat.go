package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what is remembered. The conversation that was begun first goes first.
const (
	maxConversations = 1000
	maxMessages      = 200 // of one conversation
	maxChatBody      = 64 << 10
)

// A conversation belongs to one app, one bot and one session: no other sees it.
type conversation struct {
	id, client, session string
	bot                 string // empty until the first chat, if it was created without one
	created             time.Time
	messages            []*chatMessage // the oldest first
}

// A chatMessage has the members that the official SDKs know.
type chatMessage struct {
	ID             string            `json:"id"`
	ConversationID string            `json:"conversation_id"`
	BotID          string            `json:"bot_id"`
	ChatID         string            `json:"chat_id"`
	MetaData       map[string]string `json:"meta_data"`
	Role           string            `json:"role"`
	Content        string            `json:"content"`
	ContentType    string            `json:"content_type"`
	CreatedAt      int64             `json:"created_at"`
	UpdatedAt      int64             `json:"updated_at"`
	Type           string            `json:"type"`
	SectionID      string            `json:"section_id"`
}

// makeID makes an id in the form of Coze's: 19 digits.
func makeID() string {
	n, _ := rand.Int(rand.Reader, big.NewInt(1e17)) // it never fails
	return fmt.Sprintf("74%017d", n)
}

// The bots whose ids are error codes fail with them, so that programs can be tested against each.
// The texts of 4100 and 4101 are Coze's. That of 4015 and its status are our guess.
var badBots = map[string]*apiError{
	"4100": {http.StatusUnauthorized, codeAuthentication, "authentication is invalid"},
	"4101": {http.StatusForbidden, codePermission, "the token you entered does not have permission"},
	"4015": {http.StatusBadRequest, codeUnpublished, "the bot is not published to the channel Agent As API"},
}

// An apiError is a refusal of the API.
type apiError struct {
	status, code int
	message      string
}

func (c *call) fail(w http.ResponseWriter, e *apiError) {
	writeAPIError(w, e.status, e.code, e.message, c.logID)
}

func parameter(name string) *apiError {
	return &apiError{http.StatusBadRequest, codeParameter, "invalid request parameters: " + name}
}

// noConversation is the same for a conversation of somebody else's, our guess: it tells nobody that
// it exists.
var noConversation = &apiError{http.StatusNotFound, codeNotFound, "the conversation does not exist"}

// read reads a JSON body. No body counts as an empty one.
func (c *call) read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxChatBody))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		c.fail(w, parameter("body"))
	}
	return err == nil
}

// begin makes a conversation of the caller's. s.mu is held.
func (c *call) begin(bot string) *conversation {
	if len(c.conversations) >= maxConversations {
		c.conversations = slices.Delete(c.conversations, 0, 1)
	}
	v := &conversation{id: makeID(), client: c.issue.ClientID, session: c.issue.Session, bot: bot, created: c.now}
	c.conversations = append(c.conversations, v)
	return v
}

// owns reports whether a conversation is of the token's app and session.
func (c *call) owns(v *conversation) bool {
	return v.client == c.issue.ClientID && v.session == c.issue.Session
}

// find returns a conversation of the caller's, or nil. s.mu is held.
func (c *call) find(id string) *conversation {
	for _, v := range c.conversations {
		if v.id == id && c.owns(v) {
			return v
		}
	}
	return nil
}

// add remembers a message. s.mu is held.
func (v *conversation) add(m *chatMessage, now time.Time) *chatMessage {
	m.ID, m.ConversationID, m.SectionID = makeID(), v.id, v.id
	m.CreatedAt, m.UpdatedAt = now.Unix(), now.Unix()
	m.ContentType = cmp.Or(m.ContentType, "text")
	if m.MetaData == nil {
		m.MetaData = map[string]string{}
	}
	if len(v.messages) >= maxMessages {
		v.messages = slices.Delete(v.messages, 0, 1)
	}
	v.messages = append(v.messages, m)
	return m
}

// said is a message as a caller sends it.
type said struct {
	Role        string `json:"role"`
	Content     string `json:"content"`
	ContentType string `json:"content_type"`
}

func (a said) message(bot, chat string) *chatMessage {
	kind := "question"
	if a.Role == "assistant" {
		kind = "answer"
	}
	return &chatMessage{Role: cmp.Or(a.Role, "user"), Content: a.Content, ContentType: a.ContentType, Type: kind,
		BotID: bot, ChatID: chat}
}

func (c *call) create(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		BotID    string `json:"bot_id"`
		Messages []said `json:"messages"`
	}
	if !c.read(w, r, &ask) {
		return
	}
	if e := badBots[ask.BotID]; e != nil {
		c.fail(w, e)
		return
	}
	c.mu.Lock()
	v := c.begin(ask.BotID)
	for _, m := range ask.Messages {
		v.add(m.message("", ""), c.now)
	}
	c.mu.Unlock()
	c.write(w, v.members())
}

func (v *conversation) members() members {
	return members{
		{"id", v.id}, {"created_at", v.created.Unix()}, {"meta_data", struct{}{}}, {"last_section_id", v.id},
	}
}

// list answers with the caller's conversations with a bot, the newest first, all on one page.
func (c *call) list(w http.ResponseWriter, r *http.Request) {
	bot := r.URL.Query().Get("bot_id")
	if e := badBots[bot]; e != nil {
		c.fail(w, e)
		return
	}
	found := []members{}
	c.mu.Lock()
	for _, v := range slices.Backward(c.conversations) {
		if v.bot == bot && c.owns(v) {
			found = append(found, v.members())
		}
	}
	c.mu.Unlock()
	c.write(w, members{{"conversations", found}, {"has_more", false}})
}

func (c *call) messages(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Order  string `json:"order"`
		ChatID string `json:"chat_id"`
		Limit  int    `json:"limit"`
	}
	if !c.read(w, r, &ask) {
		return
	}
	c.mu.Lock()
	v := c.find(r.URL.Query().Get("conversation_id"))
	list := []*chatMessage{}
	if v != nil {
		list = append(list, v.messages...)
	}
	c.mu.Unlock()
	if v == nil {
		c.fail(w, noConversation)
		return
	}
	if ask.ChatID != "" {
		list = slices.DeleteFunc(list, func(m *chatMessage) bool { return m.ChatID != ask.ChatID })
	}
	if ask.Order != "asc" {
		slices.Reverse(list)
	}
	limit := cmp.Or(max(ask.Limit, 0), 50)
	more := len(list) > limit
	list = list[:min(limit, len(list))]
	var first, last string
	if len(list) > 0 {
		first, last = list[0].ID, list[len(list)-1].ID
	}
	c.write(w, list, member{"first_id", first}, member{"last_id", last}, member{"has_more", more})
}

// chat takes what a user says, and has the bot answer: what it was told, by whom, and what came
// before, so that one can see what the token's session isolates.
func (c *call) chat(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		BotID    string `json:"bot_id"`
		UserID   string `json:"user_id"`
		Stream   bool   `json:"stream"`
		Messages []said `json:"additional_messages"`
	}
	if !c.read(w, r, &ask) {
		return
	}
	switch e := badBots[ask.BotID]; {
	case e != nil:
		c.fail(w, e)
		return
	case ask.BotID == "":
		c.fail(w, parameter("bot_id"))
		return
	case ask.UserID == "" && c.issue.Session == "":
		c.fail(w, parameter("user_id"))
		return
	}
	id := r.URL.Query().Get("conversation_id")
	c.mu.Lock()
	var v *conversation
	if id == "" {
		v = c.begin(ask.BotID)
	} else if v = c.find(id); v != nil && v.bot != "" && v.bot != ask.BotID {
		v = nil
	}
	if v == nil {
		c.mu.Unlock()
		c.fail(w, noConversation)
		return
	}
	if v.bot == "" {
		v.bot = ask.BotID
	}
	var before []string
	for _, m := range v.messages {
		if m.Role == "user" {
			before = append(before, m.Content)
		}
	}
	chat := makeID()
	var told []string
	for _, m := range ask.Messages {
		v.add(m.message("", chat), c.now)
		if m.Role != "assistant" {
			told = append(told, m.Content)
		}
	}
	answer := v.add(said{Role: "assistant", Content: c.reply(told, before)}.message(ask.BotID, chat), c.now)
	c.mu.Unlock()

	if !ask.Stream { // Coze answers before the bot has: retrieve says that it has completed
		c.write(w, c.chatOf(v, chat, "in_progress"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	send := func(event string, data any) {
		text, err := json.Marshal(data)
		if err != nil {
			panic(err) // data are this package's own
		}
		fmt.Fprintf(w, "event:%s\ndata:%s\n\n", event, text)
		http.NewResponseController(w).Flush()
	}
	send("conversation.chat.created", c.chatOf(v, chat, "created"))
	send("conversation.chat.in_progress", c.chatOf(v, chat, "in_progress"))
	for _, part := range strings.SplitAfter(answer.Content, " ") {
		delta := *answer
		delta.Content = part
		send("conversation.message.delta", delta)
	}
	send("conversation.message.completed", answer)
	send("conversation.chat.completed", c.chatOf(v, chat, "completed"))
	send("done", "[DONE]")
}

func (c *call) reply(told, before []string) string {
	text := "The token names no session, so I cannot tell you from others."
	if c.issue.Session != "" {
		text = "You are " + c.issue.Session + "."
	}
	text += " You said: " + strings.Join(told, " / ")
	if len(before) == 0 {
		return text + " (That is the first thing in this conversation.)"
	}
	return text + " (Before that: " + strings.Join(before[max(0, len(before)-3):], " / ") + ")"
}

func (c *call) chatOf(v *conversation, chat, status string) members {
	m := members{
		{"id", chat}, {"conversation_id", v.id}, {"bot_id", v.bot}, {"created_at", c.now.Unix()},
		{"last_error", members{{"code", 0}, {"msg", ""}}}, {"status", status},
		{"usage", members{{"token_count", 0}, {"output_count", 0}, {"input_count", 0}}}, {"section_id", v.id},
	}
	if status == "completed" {
		m = append(m, member{"completed_at", c.now.Unix()})
	}
	return m
}

// retrieve answers what has become of a chat, or with its answer.
func (c *call) retrieve(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	chat := query.Get("chat_id")
	c.mu.Lock()
	v := c.find(query.Get("conversation_id"))
	answers := []*chatMessage{}
	if v != nil {
		for _, m := range v.messages {
			if m.ChatID == chat && m.Role == "assistant" {
				answers = append(answers, m)
			}
		}
	}
	c.mu.Unlock()
	switch {
	case len(answers) == 0:
		c.fail(w, noConversation)
	case r.URL.Path == chatMessagesPath:
		c.write(w, answers)
	default:
		c.write(w, c.chatOf(v, chat, "completed"))
	}
}

// bot describes a bot as one that is published to the API. Any id is one, but for those that fail.
func (c *call) bot(w http.ResponseWriter, id string) {
	if e := badBots[id]; e != nil {
		c.fail(w, e)
		return
	}
	if _, err := strconv.ParseUint(id, 10, 64); err != nil {
		c.fail(w, parameter("bot_id"))
		return
	}
	c.write(w, members{
		{"bot_id", id}, {"name", "Sandbox"}, {"description", "says what it was told, and by whom"}, {"icon_url", ""},
		{"create_time", 1700000000}, {"update_time", 1700000000}, {"version", "1700000000000"},
		{"prompt_info", members{{"prompt", ""}}},
		{"onboarding_info", members{{"prologue", "Say something."}, {"suggested_questions", []string{}}}},
		{"bot_mode", 0}, {"plugin_info_list", []string{}},
		{"model_info", members{{"model_id", "0"}, {"model_name", "none"}}},
	})
}
