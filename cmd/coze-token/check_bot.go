package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"coze-token/coze"
	"coze-token/internal/message"
	"coze-token/internal/native"
	"coze-token/internal/quote"
)

const onlineInfo = "/v1/bot/get_online_info"

// botHints are what to do about the codes of Coze's API, where they are known.
var botHints = map[int]message.Format{
	4100: "Coze issued this token and does not take it for the bot's API: if the bot was made in the other region " +
		"(coze.cn and coze.com share nothing), use an app of that region and set COZE_REGION; if a proxy stands " +
		"between, it must pass Authorization on",
	4101: "in Coze's console, open the OAuth app, give it the permissions that the call needs (for this one: to read " +
		"bots; for chats: to chat), and authorise it for the workspace that the bot is in; then wait half a minute",
	4015: "in Coze's console, publish the bot again, with the channel API chosen",
}

const otherBot = "the id is the number after /bot/ in the address of the bot's page; the bot must be in the same region " +
	"as the app, and in a workspace that the app is authorised for"

// checkBot says whether a token sees a bot as published to the API.
func (c *checkup) checkBot(app *coze.App, token, bot string, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	base, err := apiBase(app)
	if err != nil {
		c.fail("bot", "%s", "", err)
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+onlineInfo+"?bot_id="+url.QueryEscape(bot), nil)
	if err != nil {
		c.fail("bot", "%s", "", err)
		return
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := native.Transport().RoundTrip(request)
	if err != nil {
		c.fail("bot", "%s could not be reached: %s", "check the network or proxy between this machine and Coze", base,
			message.Reason(err))
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	var answer struct {
		Code    *int   `json:"code"`
		Message string `json:"msg"`
		Data    struct {
			Name string `json:"name"`
		} `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	switch {
	case err != nil || answer.Code == nil:
		c.fail("bot", "%s answered with status %d and nothing that Coze's API sends",
			"check that no proxy answers in Coze's place", base, response.StatusCode)
	case *answer.Code != 0:
		remedy, ok := botHints[*answer.Code]
		if !ok {
			remedy = otherBot
		}
		why := strings.ReplaceAll(answer.Message, token, "[token]") // in case that Coze quotes it
		said := message.New("%s: Coze says %d: %s", bot, *answer.Code, message.Line(why, 300))
		if id := message.Line(response.Header.Get("X-Tt-Logid"), 100); id != "" {
			said = message.New("%s (logid %s)", said, id)
		}
		c.fail("bot", "%s", remedy, said)
	default:
		c.ok("bot", "%s: the token sees it, and it is published to the API: %s", bot, quote.Text(answer.Data.Name))
	}
}

// apiBase is the address of the API to which an app's token endpoint belongs.
func apiBase(app *coze.App) (string, error) {
	if base, ok := strings.CutSuffix(app.Endpoint, coze.TokenPath); ok {
		return base, nil
	}
	endpoint, err := app.TokenURL()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("TOKEN_ENDPOINT: %w", err)
	}
	return u.Scheme + "://" + u.Host, nil
}

// isBotID reports whether text has the form of a bot's id: digits.
func isBotID(text string) bool {
	return text != "" && len(text) <= 32 && strings.Trim(text, "0123456789") == ""
}
